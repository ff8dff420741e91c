"""Running an app: every failure ends in one line on stderr and an exit code."""

import errno
import os
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any

import typer

from save_avs._text import print_traceback
from save_avs.cli._console import output_settings, print_line
from save_avs.errors import SaveAvsError

FAILED, USAGE, INTERRUPTED, TERMINATED = 1, 2, 130, 143
TRACEBACK_VARIABLE = "SAVE_AVS_TRACEBACK"
NO_PARTIAL_OUTPUT = "No partial output was left behind."

_OS_HINTS = {
    errno.ENOSPC: "; free some space, or write to another disk",
    errno.EDQUOT: "; free some space, or write to another disk",
    errno.EROFS: "; write to another disk",
    errno.EAGAIN: "; close other programs, or raise the limits of this one",
}
_OUT_OF_MEMORY = (
    "can't allocate memory",
    "could not create a primitive",
    "Cannot allocate memory",
    "failed to map segment",
)
_UsageError: type[Exception] = typer.BadParameter.__bases__[0]  # typer's own: base of all its usage errors


class _Terminated(BaseException):
    """SIGTERM, raised in the main thread, so that the program cleans up as after Ctrl-C."""


def run_app(
    app: typer.Typer, arguments: Sequence[str], *, name: str, after_stop: str = NO_PARTIAL_OUTPUT
) -> int:
    """Run a command line and return its exit code; a failure prints one line on stderr.

    0 done; 1 the program failed; 2 wrong usage; 3 an input could not be read or finished; 130 and 143 after
    Ctrl-C and SIGTERM, whose messages end with ``after_stop``. With --verbose, or SAVE_AVS_TRACEBACK set,
    failures show their traceback.
    """
    try:
        with _sigterm_raises():
            code = app(list(arguments), prog_name=name, standalone_mode=False) or 0
            if code == INTERRUPTED:  # how typer reports Ctrl-C
                raise KeyboardInterrupt
            return code
    except (KeyboardInterrupt, _Terminated, Exception) as error:
        if _show_traceback():
            print_traceback(error)
        message, code = _describe(error, name, output_settings.after_stop or after_stop)
        print_line(f"{name}: {message}", err=True)
        return code


def _show_traceback() -> bool:
    return output_settings.verbose or bool(os.environ.get(TRACEBACK_VARIABLE))


def _describe(error: BaseException, name: str, after_stop: str) -> tuple[str, int]:
    """Return the message of an error, in one line, and the exit code."""
    message, code = " ".join(str(error).split()), FAILED
    match error:
        case KeyboardInterrupt() | typer.Abort():
            message, code = f"Interrupted. {after_stop}", INTERRUPTED
        case _Terminated():
            message, code = f"Terminated. {after_stop}", TERMINATED
        case SaveAvsError():
            code = error.exit_code
        case _ if isinstance(error, _UsageError):
            message, code = _usage_message(error, name), USAGE
        case _ if _is_out_of_memory(error):
            message = "Out of memory: choose a smaller model or --device cpu, or close other programs"
        case OSError() if error.strerror:
            unnamed = "the system" if error.errno == errno.EAGAIN else "writing"
            where = str(error.filename or unnamed).removeprefix("file:")
            message = f"{where}: {error.strerror}{_OS_HINTS.get(error.errno or 0, '')}"
        case _:
            hint = "" if _show_traceback() else " (add --verbose for the traceback)"
            message = f"{type(error).__name__}: {message}{hint}"
    return message, code


def _is_out_of_memory(error: BaseException) -> bool:
    """Return whether it is Python's error, torch's of a GPU, or a message of torch or oneDNN on the CPU."""
    named = isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"
    return named or any(message in str(error) for message in _OUT_OF_MEMORY)


def _usage_message(error: Any, name: str) -> str:
    command = getattr(error.ctx, "command_path", name)
    message = " ".join(error.format_message().split()).rstrip(".") or "No command given"
    return f"{message}; see {command} --help"


@contextmanager
def _sigterm_raises() -> Iterator[None]:
    def stop(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # a second one must not cut the cleanup short
        raise _Terminated

    previous = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)
