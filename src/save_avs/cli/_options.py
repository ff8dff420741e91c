"""Options that several commands have."""

from __future__ import annotations

from typing import Annotated

import typer

from save_avs.errors import UsageError

DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Only say what would be done, and where; write nothing.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout instead of tables.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace what is there already.")]
Precision = Annotated[
    str, typer.Option("--precision", metavar="auto|fp32|bf16", help="Arithmetic of the model.")
]
Device = Annotated[str, typer.Option("--device", metavar="auto|cpu|cuda", help="Where the model runs.")]
Runtime = Annotated[
    str,
    typer.Option(
        "--runtime",
        metavar="auto|torch|onnx|openvino|openvino-int8",
        help="What computes the model; auto: the fastest that bench --choose found, else torch.",
    ),
]


def reject_options(options: dict[str, object], what: str) -> None:
    """Refuse options that were given and are for something else than what was asked for.

    Raises:
        UsageError: one of them is not None.
    """
    for name, value in options.items():
        if value is not None:
            raise UsageError(f"{name} is for {what}: leave it out")
