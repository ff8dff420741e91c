"""Options and arguments that several commands have, their checks, and the names that shells complete."""

from itertools import count
from pathlib import Path
from typing import Annotated, Any

from typer import Argument, Option

from save_avs._extras import MissingExtraError, models_folder
from save_avs.errors import UsageError


def complete_models(incomplete: str) -> list[str]:
    """Complete bundled models; the shell itself completes folders."""
    try:
        names = sorted(config.parent.name for config in models_folder().glob("*/config.json"))
    except MissingExtraError:
        names = []
    return [name for name in names if name.startswith(incomplete)]


def complete_weights(incomplete: str) -> list[tuple[str, str]]:
    """Complete pretrained weights, with their descriptions."""
    from save_avs.weights.registry import pretrained_weights

    return [(w.name, w.description) for w in pretrained_weights().values() if w.name.startswith(incomplete)]


DryRun = Annotated[
    bool, Option("--dry-run", help="Print what would be done and where, without writing anything.")
]
AsJson = Annotated[bool, Option("--json", help="Print one JSON document on stdout instead of text.")]
Overwrite = Annotated[bool, Option("--overwrite", help="Replace existing results.")]
Precision = Annotated[str, Option(metavar="auto|fp32|bf16", help="Numeric precision.")]
Device = Annotated[str, Option(metavar="auto|cpu|cuda|mps", help="Device that runs the model.")]
Runtime = Annotated[
    str,
    Option(
        metavar="auto|torch|onnx|openvino|openvino-int8",
        help="Inference backend; auto takes the fastest that bench --choose found, else torch.",
    ),
]
ModelName = Annotated[
    str,
    Option(
        metavar="NAME|PATH|hf:OWNER/NAME",
        help="A bundled model, a model's folder, or a model on the Hugging Face Hub.",
        autocompletion=complete_models,
    ),
]
Fps = Annotated[str, Option(metavar="N|native", help="Frames to segment per second; native takes all.")]
Threshold = Annotated[float, Option(help="Probability above which a pixel is in the mask.")]
ToneMap = Annotated[str, Option("--tone-map", metavar="auto|off", help="Map HDR and BT.2020 to BT.709.")]
Deinterlace = Annotated[
    str, Option("--deinterlace", metavar="auto|off", help="Deinterlace interlaced frames.")
]
DatasetRoot = Annotated[
    str,
    Argument(metavar="ROOT", help="Folder or URL of the unpacked archives, or of shards."),
]
DatasetName = Annotated[str, Argument(metavar="NAME", help="Name of the dataset: s4, ms3, v2, v3-0, ...")]
Splits = Annotated[
    list[str] | None,
    Option("--split", metavar="train|val|test", show_default="all", help="Split to process; repeatable."),
]


def model_argument(metavar: str, help: str) -> Any:
    """Make the argument of a model, which shells complete."""
    return Argument(metavar=metavar, help=help, autocompletion=complete_models)


def output_folder(default: str | bool, help: str, metavar: str = "DIR") -> Any:
    """Make the option of a folder to write; ``default`` describes where it is if not given, or whether to."""
    return Option("--output", "-o", metavar=metavar, show_default=default, help=help)


def reject_options(options: dict[str, object], applies_to: str) -> None:
    """Raise a UsageError if an option that only applies to something else has a value but None or False."""
    for name, value in options.items():
        if value is not None and value is not False:
            raise UsageError(f"{name} only applies to {applies_to}: leave it out")


def check_new_folder(output: Path) -> None:
    """Raise a UsageError if a folder to make exists."""
    if output.exists():
        raise UsageError(f"{output} already exists: remove it, or name another folder")


def check_overwrite(output: Path | None, overwrite: bool, kind: str = "folder") -> None:
    """Raise a UsageError if an output is given, exists and may not be replaced."""
    if output is not None and output.exists() and not overwrite:
        raise UsageError(f"{output} already exists: name another {kind}, or add --overwrite")


def resolve_output_dir(output: Path | None, default: Path, *, overwrite: bool) -> Path:
    """Return the folder for a report: ``output``, or the next free name like ``default``.

    A UsageError says that ``output`` exists and may not be overwritten.
    """
    check_overwrite(output, overwrite)
    if output is not None:
        if output.exists() and not output.is_dir():
            raise UsageError(f"{output} is not a folder")
        return output
    if overwrite:
        return default
    names = (default if n == 1 else default.with_name(f"{default.name}-{n}") for n in count(1))
    return next(name for name in names if not name.exists())
