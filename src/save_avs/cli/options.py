"""Options that several commands have."""

from __future__ import annotations

from typing import Annotated

import typer

Precision = Annotated[
    str, typer.Option("--precision", metavar="auto|fp32|bf16", help="Arithmetic of the model.")
]
Device = Annotated[str, typer.Option("--device", metavar="auto|cpu|cuda", help="Where the model runs.")]
