"""Stop signals: on Ctrl-C or SIGTERM a run finishes its step, saves, and says how to resume."""

import signal
import threading
from types import FrameType
from typing import Self

from save_avs.errors import SaveAvsError

SIGNALS = {signal.SIGINT: ("Ctrl-C", 130), signal.SIGTERM: ("SIGTERM", 143)}


class InterruptedRunError(SaveAvsError):
    """A run that was stopped by a signal and has saved its state."""


class StopSignals:
    """Within the block SIGTERM and Ctrl-C are recorded; a second signal takes effect at once."""

    def __init__(self) -> None:
        self.received = 0
        self._handlers: dict[int, object] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():  # only there may handlers be set
            self._handlers = {number: signal.signal(number, self._record) for number in SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        self._restore()

    def _record(self, number: int, frame: FrameType | None) -> None:
        self.received = number
        self._restore()

    def _restore(self) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)  # pyright: ignore[reportArgumentType]
        self._handlers = {}


def interrupted(number: int, stage: str, step: int) -> InterruptedRunError:
    """Return the error of a run that a signal stopped, after it saved."""
    name, code = SIGNALS[signal.Signals(number)]
    error = InterruptedRunError(
        f"stopped by {name}; stage {stage} was saved at step {step}: run the same command again to resume"
    )
    error.exit_code = code
    return error


def ignore_stop_signals() -> None:
    """Ignore the signals in a worker: a terminal sends them to all processes, and the trainer ends it."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
