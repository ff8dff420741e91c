"""Options and arguments that several commands have, and the names that shells complete."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Annotated

import typer

from save_avs.errors import UsageError


def complete_models(incomplete: str) -> list[str]:
    """Complete bundled models; the shell itself completes folders."""
    bundled = (files("save_avs") / "bundled").iterdir()
    names = sorted(folder.name for folder in bundled if (folder / "config.json").is_file())
    return [name for name in names if name.startswith(incomplete)]


def complete_weights(incomplete: str) -> list[tuple[str, str]]:
    """Complete pretrained weights, with their descriptions."""
    from save_avs.weights.registry import PRETRAINED_WEIGHTS

    return [(w.name, w.description) for w in PRETRAINED_WEIGHTS.values() if w.name.startswith(incomplete)]


DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Print what would be done and where, without writing anything.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout instead of text.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace existing results.")]
Precision = Annotated[str, typer.Option("--precision", metavar="auto|fp32|bf16", help="Numeric precision.")]
Device = Annotated[str, typer.Option("--device", metavar="auto|cpu|cuda", help="Device that runs the model.")]
Runtime = Annotated[
    str,
    typer.Option(
        "--runtime",
        metavar="auto|torch|onnx|openvino|openvino-int8",
        help="Inference backend; auto takes the fastest that bench --choose found, else torch.",
    ),
]
ModelName = Annotated[
    str,
    typer.Option(
        "--model",
        metavar="NAME|PATH|hf:OWNER/NAME",
        help="A bundled model, a model's folder, or a model on the Hugging Face Hub.",
        autocompletion=complete_models,
    ),
]
Fps = Annotated[
    str, typer.Option("--fps", metavar="N|native", help="Frames to segment per second; native takes all.")
]
Threshold = Annotated[
    float, typer.Option("--threshold", help="Probability above which a pixel is in the mask.")
]
DatasetRoot = Annotated[
    Path, typer.Argument(metavar="ROOT", help="Folder in which the dataset's archive was unpacked.")
]
DatasetName = Annotated[
    str, typer.Argument(metavar="NAME", help="Name of the dataset: s4, ms3, v2, v3-0, ...")
]
Splits = Annotated[
    list[str] | None,
    typer.Option(
        "--split", metavar="train|val|test", show_default="all", help="Split to process; repeatable."
    ),
]


def reject_options(options: dict[str, object], applies_to: str) -> None:
    """Reject options that were given and apply to something else.

    Args:
        options: values by option; None and False were not given.
        applies_to: what they are for, for the message.

    Raises:
        UsageError: one of them was given.
    """
    for name, value in options.items():
        if value is not None and value is not False:
            raise UsageError(f"{name} only applies to {applies_to}: leave it out")
