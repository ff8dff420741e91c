"""The command line: one module per command, each light to import; torch comes when a command runs."""

from __future__ import annotations

import errno
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Annotated, Any

import typer

from save_avs._text import print_traceback
from save_avs.cli import (
    batch,
    bench,
    data,
    demo,
    doctor,
    evaluate,
    export,
    masks,
    params,
    segment,
    serve,
    train,
    weights,
)
from save_avs.cli._console import add_output_options, output_settings, print_line
from save_avs.errors import SaveAvsError

FAILED, USAGE, INTERRUPTED, TERMINATED = 1, 2, 130, 143
TRACEBACK = "SAVE_AVS_TRACEBACK"

# Decoding, encoding and loading share the cores with torch: numpy's products get by with one thread, and
# torch's threads sleep while they wait instead of spinning. Training shares with no one but workers that step
# aside, and loses a tenth of its speed to that sleep. Read when numpy and torch are imported.
THREADS = {"OPENBLAS_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}
# What a command leaves at the library's own.
SPINNING: dict[str, tuple[str, ...]] = {"train": ("OMP_WAIT_POLICY",)}

_HINTS = {
    errno.ENOSPC: "; make room, or write to another disk",
    errno.EDQUOT: "; make room, or write to another disk",
    errno.EROFS: "; write to another disk",
    errno.EAGAIN: "; close other programs, or raise the limits of this one",
}
_NO_MEMORY = (
    "can't allocate memory",
    "could not create a primitive",
    "Cannot allocate memory",
    "failed to map segment",
)

_UsageError: type[Exception] = typer.BadParameter.__bases__[0]  # typer's own: parent of all its complaints

app = typer.Typer(
    name="save-avs",
    help="Audio-visual segmentation: mark, in a video, the things that make its sound.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("segment", epilog=segment.EXAMPLES)(segment.segment)
app.command("batch", epilog=batch.EXAMPLES)(batch.batch)
app.command("demo", epilog=demo.EXAMPLES)(demo.demo)
app.command("eval", epilog=evaluate.EXAMPLES)(evaluate.evaluate)
app.command("train", epilog=train.EXAMPLES)(train.train)
app.command("validate", epilog=train.EXAMPLES)(train.validate)
app.command("serve", epilog=serve.EXAMPLES)(serve.serve)
app.command("bench", epilog=bench.EXAMPLES)(bench.bench)
app.command("doctor", epilog=doctor.EXAMPLES)(doctor.doctor)
app.command("export", epilog=export.EXAMPLES)(export.export)
app.command("params", epilog=params.EXAMPLES)(params.params)
app.add_typer(data.app, name="data")
app.add_typer(masks.app, name="masks")
app.add_typer(weights.app, name="weights")
add_output_options(app)


def _print_version(wanted: bool) -> None:
    if wanted:
        import save_avs

        print_line(f"save-avs {save_avs.__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Options of the program itself."""


class _Terminated(BaseException):
    """SIGTERM, raised where the program is, so that it cleans up as after Ctrl-C."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code: every way to fail ends in one line on stderr.

    0 done; 1 the program failed; 2 wrong usage; 3 some file could not be read or finished; 130 and 143 after
    Ctrl-C and SIGTERM. With --verbose, or SAVE_AVS_TRACEBACK set, failures show where they happened.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    _set_threads(arguments)
    try:
        with _sigterm_raises():
            code = app(arguments, prog_name=app.info.name, standalone_mode=False) or 0
            if code == INTERRUPTED:  # typer's way to hand on a Ctrl-C
                raise KeyboardInterrupt
            return code
    except (KeyboardInterrupt, _Terminated, Exception) as error:
        if output_settings.verbose or os.environ.get(TRACEBACK):
            print_traceback(error)
        text, code = _verdict(error)
        print_line(f"save-avs: {text}", err=True)
        return code


def _set_threads(arguments: Sequence[str]) -> None:
    command = next((word for word in arguments if not word.startswith("-")), "")
    for name, value in THREADS.items():
        if name not in SPINNING.get(command, ()):
            os.environ.setdefault(name, value)


def _verdict(error: BaseException) -> tuple[str, int]:
    """What to say of an error, in one line, and the exit code."""
    text, code = _one_line(error), FAILED
    match error:
        case KeyboardInterrupt() | typer.Abort():
            text, code = "stopped by Ctrl-C; nothing half-written was left", INTERRUPTED
        case _Terminated():
            text, code = "stopped by SIGTERM; nothing half-written was left", TERMINATED
        case SaveAvsError():
            code = error.exit_code
        case _ if isinstance(error, _UsageError):
            text, code = _usage(error), USAGE
        case _ if _memory_ran_out(error):
            text = "out of memory; choose a smaller model or --device cpu, or close other programs"
        case OSError() if error.strerror:
            unnamed = "the system" if error.errno == errno.EAGAIN else "writing"
            place = str(error.filename or unnamed).removeprefix("file:")
            text = f"{place}: {error.strerror}{_HINTS.get(error.errno or 0, '')}"
        case _:
            where = (
                ""
                if output_settings.verbose or os.environ.get(TRACEBACK)
                else " (add --verbose to see where)"
            )
            text = f"{type(error).__name__}: {text}{where}"
    return text, code


def _memory_ran_out(error: BaseException) -> bool:
    """Python's error, torch's of a GPU, or one of the sentences of torch and oneDNN on a processor."""
    named = isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"
    return named or any(sentence in str(error) for sentence in _NO_MEMORY)


def _usage(error: Any) -> str:
    command = getattr(error.ctx, "command_path", app.info.name)
    said = _one_line(error.format_message()).rstrip(".") or "no command given"
    return f"{said}; see {command} --help"


def _one_line(text: object) -> str:
    return " ".join(str(text).split())


@contextmanager
def _sigterm_raises() -> Iterator[None]:
    def stop(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # once is enough: cleaning up is not to be cut short
        raise _Terminated

    former = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, former)
