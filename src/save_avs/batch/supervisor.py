"""A worker process that is replaced when it dies, and what a clip is told that killed it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from save_avs.batch.messages import Done, Entry, Failed, Kit, Outcome, Question
from save_avs.batch.storage import identity_of
from save_avs.batch.worker import Broke, Ready, Unfit, work
from save_avs.errors import SaveAvsError, UsageError
from save_avs.inference.process import PipedProcess

if TYPE_CHECKING:
    from save_avs.types import F32

Answer = Callable[[Question], "F32"]

_TRIES = 2  # a worker may die of something else than the clip it was at
_PATIENCE = 600.0  # seconds in which a clip must get on


class Hand:
    """Does one clip after another, in a process of its own that may die of any.

    Args:
        kit: what the worker is given.
        patience: seconds without any progress after which a clip counts as hanging.
        answer: gives the logits that a worker asks for whose model lies elsewhere.
    """

    def __init__(self, kit: Kit, patience: float = _PATIENCE, answer: Answer | None = None) -> None:
        self._kit, self._patience, self._answer = kit, patience, answer
        self._process: PipedProcess | None = None
        self._stopped = False

    def do(self, entry: Entry) -> Outcome:
        """Do a clip: its masks, or why there are none. One that kills its worker is tried once more.

        Raises:
            UsageError, SaveAvsError: no clip can be done, whichever it is.
        """
        reason = ""
        for _ in range(_TRIES):
            said = self._try(entry)
            if not isinstance(said, str):
                return said
            reason = said
        return Failed(entry.name, identity_of(entry) or "", "crashed", f"{entry.name}: {reason}, twice")

    def stop(self) -> None:
        """Kill the process, from any thread; a clip it is at, and every later one, ends with an error."""
        self._stopped = True
        if self._process is not None:
            self._process.kill()

    def close(self) -> None:
        """End the process, when no clip is being done."""
        if self._process is not None:
            self._drop(self._process)

    def _try(self, entry: Entry) -> Outcome | str:
        """The outcome, or what the worker died of."""
        process = self._ready()
        try:
            process.connection.send(entry)
            said = self._listen(process)
        except (OSError, EOFError):
            said = Broke(f"the worker {process.how_it_ended()}")
        match said:
            case Done() | Failed():
                return said
            case Unfit():
                raise SaveAvsError(said.reason)
            case _:
                self._drop(process)
                return said.reason

    def _listen(self, process: PipedProcess) -> Done | Failed | Broke | Unfit:
        while process.connection.poll(self._patience):
            match said := process.connection.recv():
                case Question():
                    process.connection.send(self._reply(said))
                case Done() | Failed() | Broke() | Unfit():
                    return said
        return Broke(f"no progress for {self._patience:g} s")

    def _reply(self, question: Question) -> F32 | Exception:
        """The answer, or what keeps from it: that is the asking clip's trouble."""
        assert self._answer is not None
        try:
            return self._answer(question)
        except Exception as error:
            return RuntimeError(f"the model: {' '.join(str(error).split())[:300]}")

    def _ready(self) -> PipedProcess:
        """The process with its model loaded, a new one where there is none or it has died."""
        if self._process is not None and self._process.alive:
            return self._process
        self.close()
        how = ""
        for _ in range(_TRIES):
            process = self._start()
            try:
                said = process.connection.recv()
            except (OSError, EOFError):
                how = process.how_it_ended()
                self._drop(process)
                continue
            if isinstance(said, Ready):
                return process
            self._drop(process)
            raise UsageError(said.reason) if said.usage else SaveAvsError(said.reason)
        raise SaveAvsError(f"a worker {how} while it loaded the model, and so did the next")

    def _start(self) -> PipedProcess:
        self._process = process = PipedProcess(work, self._kit)
        if self._stopped:  # after the assignment, so that `stop` cannot miss the process
            process.kill()
        return process

    def _drop(self, process: PipedProcess) -> None:
        process.end()
        self._process = None
