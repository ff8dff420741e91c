"""A supervised worker that segments clips: one that kills its worker twice is reported as crashed."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from save_avs._process import Completed, Died, Limits, MemoryExceeded, Raised, TimedOut, WorkerProcess
from save_avs.batch.messages import Done, Entry, Failed, Kit, Outcome, Question
from save_avs.batch.storage import identity_of
from save_avs.batch.worker import set_up
from save_avs.errors import SaveAvsError

if TYPE_CHECKING:
    from save_avs.types import F32

_ATTEMPTS = 2  # a worker may die for another reason than its clip
_SILENCE = 600.0  # seconds


class WorkerSupervisor:
    """Has one clip after another segmented in a worker process.

    Args:
        kit: the worker's configuration.
        silence: seconds without progress after which a clip counts as hanging.
        answer: returns the logits for a worker without a model of its own.
    """

    def __init__(
        self, kit: Kit, silence: float = _SILENCE, answer: Callable[[Question], F32] | None = None
    ) -> None:
        self._limits, self._model = Limits(silence=silence), answer
        self._process: WorkerProcess[None, Entry, Done | Failed] = WorkerProcess(
            set_up, kit, start_attempts=_ATTEMPTS
        )

    def run(self, entry: Entry) -> Outcome:
        """Segment a clip; return its masks, or why there are none.

        Raises:
            UsageError, SaveAvsError: no clip can be segmented: no model, no disk space, or closed.
        """
        reason = ""
        for _ in range(_ATTEMPTS):
            match outcome := self._process.run(entry, self._limits, on_message=self._answer):
                case Completed():
                    return outcome.value
                case Raised(SaveAvsError() as error):
                    raise error
                case Raised(error):
                    reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
                case Died():
                    reason = f"the worker {outcome.reason}"
                case TimedOut():
                    reason = f"no progress for {outcome.seconds:g} s"
                case MemoryExceeded():
                    reason = f"more than {outcome.limit:g} bytes of memory"
                case _:
                    raise SaveAvsError("the worker was stopped")
        return Failed(
            entry.name, identity_of(entry) or "", "crashed", f"{entry.name}: {reason} ({_ATTEMPTS} attempts)"
        )

    def close(self) -> None:
        """Kill the worker, from any thread; ``run`` then raises."""
        self._process.close()

    def _answer(self, question: Question) -> F32:
        assert self._model is not None
        try:
            return self._model(question)
        except Exception as error:
            raise RuntimeError(f"the model: {' '.join(str(error).split())[:300]}") from error
