"""Options that several commands have."""

from __future__ import annotations

from typing import Annotated

import typer

DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Only say what would be done, and where; write nothing.")
]
Precision = Annotated[
    str, typer.Option("--precision", metavar="auto|fp32|bf16", help="Arithmetic of the model.")
]
Device = Annotated[str, typer.Option("--device", metavar="auto|cpu|cuda", help="Where the model runs.")]
Runtime = Annotated[
    str,
    typer.Option(
        "--runtime",
        metavar="auto|torch|onnx|openvino",
        help="What computes the model; auto: the fastest that bench --choose found, else torch.",
    ),
]
