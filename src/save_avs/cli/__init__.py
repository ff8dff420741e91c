"""The command line: one module per command, imported when it is called; torch is imported when it runs."""

import os
import sys
from collections.abc import Collection, Mapping, Sequence
from importlib import import_module
from typing import Annotated, Any

import typer
from typer import Option

from save_avs.cli._console import make_app, print_line
from save_avs.cli._exit import run_app

# Decoding, encoding and loading share the cores with torch: numpy's products get by with one thread, and
# torch's threads sleep while they wait instead of spinning. Training shares with no one but workers that step
# aside, and loses a tenth of its speed to that sleep. Read when numpy and torch are imported.
THREADS = {"OPENBLAS_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}
SPINNING_COMMANDS = ("train",)  # leave OMP_WAIT_POLICY at torch's default

HELP = """Audio-visual segmentation: mask, in a video, the objects that make its sound.

\b
Examples:
  save-avs demo
  save-avs segment clip.mp4
  save-avs serve
"""
DATA_HELP = """Check and convert datasets, and compose clips with exact masks from cutouts and sounds.

\b
Examples:
  save-avs data check archives
  save-avs data compose sample -o clips
"""
MASKS_HELP = """Convert masks to the formats of other tools.

\b
Examples:
  save-avs masks convert runs/segment/clip/masks.json --to coco
"""
WEIGHTS_HELP = """List, fetch, verify and convert pretrained weights.

\b
Examples:
  save-avs weights list
  save-avs weights fetch sam-vit-b
"""

COMMANDS = {  # by name: module and function
    "segment": "segment.segment",
    "live": "live.live",
    "batch": "batch.batch",
    "demo": "demo.demo",
    "eval": "evaluate.evaluate",
    "teach": "teach.teach",
    "train": "train.train",
    "validate": "train.validate",
    "serve": "serve.serve",
    "bench": "bench.bench",
    "doctor": "doctor.doctor",
    "export": "export.export",
    "models": "models.models",
    "params": "params.params",
    "prompt": "prompt.prompt",
}
_DATA = {
    "check": "data_check.check",
    "features": "data.features",
    "shard": "data.shard",
    "compose": "data.compose",
}
_WEIGHTS = {
    "list": "weights.list_weights",
    "fetch": "weights.fetch",
    "verify": "weights.verify",
    "convert": "weights.convert",
}
GROUPS = {
    "data": (DATA_HELP, _DATA),
    "masks": (MASKS_HELP, {"convert": "masks.convert"}),
    "weights": (WEIGHTS_HELP, _WEIGHTS),
}


def make_program(called: str = "") -> typer.Typer:
    """Make the program; if ``called`` is one of its commands or groups, that one alone, which is faster."""
    single = {called} & {*COMMANDS, *GROUPS}
    app = make_app(
        HELP,
        _load(COMMANDS, single),
        name="save-avs",
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_program_options)
    for name in single & {*GROUPS} if single else GROUPS:
        help, commands = GROUPS[name]
        app.add_typer(make_app(help, _load(commands)), name=name)
    return app


def _load(commands: Mapping[str, str], names: Collection[str] = ()) -> dict[str, Any]:
    """Import the functions of the commands of these names, by default of all."""
    paths = {name: path.split(".") for name, path in commands.items() if not names or name in names}
    return {
        name: getattr(import_module(f"{__name__}.{module}"), function)
        for name, (module, function) in paths.items()
    }


def _print_version(wanted: bool) -> None:
    if wanted:
        import save_avs

        print_line(f"save-avs {save_avs.__version__}")
        raise typer.Exit


def _program_options(
    version: Annotated[
        bool, Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Options of the program itself."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code; see ``run_app``."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    _set_threads(arguments)
    return run_app(make_program(*arguments[:1]), arguments, name="save-avs")


def _set_threads(arguments: Sequence[str]) -> None:
    command = next((word for word in arguments if not word.startswith("-")), "")
    for name, value in THREADS.items():
        if name != "OMP_WAIT_POLICY" or command not in SPINNING_COMMANDS:
            os.environ.setdefault(name, value)
