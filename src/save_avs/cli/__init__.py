"""The command line: one module per command, each light to import; torch is imported when a command runs."""

import os
import sys
from collections.abc import Sequence
from typing import Annotated

import typer
from typer import Option

from save_avs.cli import (
    batch,
    bench,
    data,
    data_check,
    demo,
    doctor,
    evaluate,
    export,
    live,
    masks,
    models,
    params,
    prompt,
    segment,
    serve,
    teach,
    train,
    weights,
)
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

app = make_app(
    HELP,
    {
        "segment": segment.segment,
        "live": live.live,
        "batch": batch.batch,
        "demo": demo.demo,
        "eval": evaluate.evaluate,
        "teach": teach.teach,
        "train": train.train,
        "validate": train.validate,
        "serve": serve.serve,
        "bench": bench.bench,
        "doctor": doctor.doctor,
        "export": export.export,
        "models": models.models,
        "params": params.params,
        "prompt": prompt.prompt,
    },
    name="save-avs",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
_DATA = {
    "check": data_check.check,
    "features": data.features,
    "shard": data.shard,
    "compose": data.compose,
}
_WEIGHTS = {
    "list": weights.list_weights,
    "fetch": weights.fetch,
    "verify": weights.verify,
    "convert": weights.convert,
}
app.add_typer(make_app(DATA_HELP, _DATA), name="data")
app.add_typer(make_app(MASKS_HELP, {"convert": masks.convert}), name="masks")
app.add_typer(make_app(WEIGHTS_HELP, _WEIGHTS), name="weights")


def _print_version(wanted: bool) -> None:
    if wanted:
        import save_avs

        print_line(f"save-avs {save_avs.__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Options of the program itself."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code; see ``run_app``."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    _set_threads(arguments)
    return run_app(app, arguments, name="save-avs")


def _set_threads(arguments: Sequence[str]) -> None:
    command = next((word for word in arguments if not word.startswith("-")), "")
    for name, value in THREADS.items():
        if name != "OMP_WAIT_POLICY" or command not in SPINNING_COMMANDS:
            os.environ.setdefault(name, value)
