"""Being told to stop: a run finishes its step, saves, and says how to go on."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Self

from save_avs.errors import SaveAvsError

SIGNALS = {signal.SIGINT: ("Ctrl-C", 130), signal.SIGTERM: ("SIGTERM", 143)}


class InterruptedRunError(SaveAvsError):
    """A run that was told to stop and has saved itself."""

    def __init__(self, text: str, exit_code: int = 143) -> None:
        super().__init__(text)
        self.exit_code = exit_code


class StopRequests:
    """Within the block SIGTERM and Ctrl-C are noted instead of obeyed; a second one is obeyed at once.

    Attributes:
        signal: the number of the signal that came; 0 while none did.
    """

    def __init__(self) -> None:
        self.signal = 0
        self._former: dict[int, object] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():  # only there may handlers be set
            self._former = {number: signal.signal(number, self._note) for number in SIGNALS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._restore()

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.signal = number
        self._restore()

    def _restore(self) -> None:
        for number, handler in self._former.items():
            signal.signal(number, handler)  # pyright: ignore[reportArgumentType]
        self._former = {}


def interrupted(number: int, stage: str, step: int) -> InterruptedRunError:
    """What ends a run that was told to stop by a signal, after it saved."""
    name, code = SIGNALS[signal.Signals(number)]
    return InterruptedRunError(
        f"stopped by {name}; stage {stage} is saved at step {step}: run the same command again to go on", code
    )


def ignore_in_worker() -> None:
    """A worker outlives the signals that a terminal or a scheduler sends to all: its trainer ends it."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
