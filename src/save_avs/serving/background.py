"""Work that a server repeats in the background, whatever happens to it once."""

from collections.abc import Callable
from threading import Event, Thread

from save_avs.serving.logs import log


class BackgroundLoop:
    """Calls a function every ``interval`` seconds in a thread of its own.

    An error is logged when it is another than the last time, and kept as ``problem`` until a call succeeds.
    """

    def __init__(self, name: str, function: Callable[[], None], interval: float) -> None:
        self.name, self.problem = name, ""
        self._function, self._interval = function, interval
        self._wake, self._closing = Event(), False
        self._thread = Thread(target=self._run, name=f"save-avs {name}", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def wake(self) -> None:
        """Call the function now."""
        self._wake.set()

    def close(self) -> None:
        """Stop, after the call that may be running."""
        self._closing = True
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while not self._closing:
            self._wake.clear()
            try:
                self._function()
                self.problem = ""
            except Exception as error:
                problem = f"{self.name}: {error or type(error).__name__}"
                if problem != self.problem:
                    log.error("%s", problem, exc_info=True)
                self.problem = problem
            self._wake.wait(self._interval)
