"""`save-avs params`: how large the models are, what is trained, and what a frame costs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from save_avs.cli._console import print_block, print_line
from save_avs.cli._options import AsJson
from save_avs.errors import UsageError, first_problem

if TYPE_CHECKING:
    from save_avs.models import SaveConfig
    from save_avs.models.profile import ModelProfile

EXAMPLES = """Examples:

\b
  save-avs params
  save-avs params save-vit-b --size 256 --size 1024 --spatial full --spatial depthwise
  save-avs params save-tiny runs/s4/model
  save-avs params --json > sizes.json

\b
Parameters in millions. GFLOP: multiplications and additions of one frame
and its sound in matrix products and convolutions, as computed here.
"""

HEAD = ("model", "px", "branch", "total", "frozen", "trained", "SAM encoder", "image adapters")
HEAD += ("audio backbone", "audio adapter", "prompt encoder", "mask decoder", "GFLOP", "adapters' GFLOP")
COLUMNS = 3  # of words; numbers follow


def params(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[PRESET|PATH]...", show_default="all presets", help="Presets, or models."),
    ] = None,
    sizes: Annotated[
        list[int] | None,
        typer.Option("--size", metavar="PX", show_default="the model's own", help="Side of the input."),
    ] = None,
    branches: Annotated[
        list[str] | None,
        typer.Option(
            "--spatial",
            metavar="full|depthwise|bottleneck|none",
            show_default="all, of presets; a model's own",
            help="Spatial branch of the image adapters.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> int:
    """Table of parameters (total, frozen, trained, per part) and of operations a frame; needs no weights."""
    from save_avs.models.profile import profile_model

    rows = [(config, profile_model(config)) for config in _configs(names, sizes, branches)]
    if as_json:
        print_block(json.dumps([_record(config, found) for config, found in rows], indent=2))
        return 0
    lines = [HEAD, *(_row(config, found) for config, found in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(HEAD))]
    for i, line in enumerate(lines):
        print_line(_markdown(line, widths))
        if i == 0:
            rules = ["-" * width for width in widths[:COLUMNS]]
            rules += ["-" * (width - 1) + ":" for width in widths[COLUMNS:]]
            print_line(_markdown(rules, widths))
    return 0


def _configs(
    names: list[str] | None, sizes: list[int] | None, branches: list[str] | None
) -> list[SaveConfig]:
    from pydantic import ValidationError

    from save_avs.models import PRESETS, SaveConfig
    from save_avs.models.serialization import read_config
    from save_avs.runtimes.loading import find_model_folder

    every = ("full", "depthwise", "bottleneck", "none")
    found = []
    for name in names or PRESETS:
        one = {"preset": name} if name in PRESETS else read_config(find_model_folder(name)).model_dump()
        shown = branches or (every if name in PRESETS else [None])
        changes = [(size, branch) for size in sizes or [None] for branch in shown]
        try:
            found += [SaveConfig.model_validate(_changed(one, size, branch)) for size, branch in changes]
        except ValidationError as error:
            raise UsageError(first_problem(error)) from error
    for config in found:
        if config.image_size % 16:
            raise UsageError(f"--size {config.image_size} must be a multiple of the patch, 16")
    return found


def _changed(config: dict[str, Any], size: int | None, branch: str | None) -> dict[str, Any]:
    out = dict(config)
    if size is not None:
        out["image_size"] = size
    if branch is not None:
        out["image_adapter"] = {**(out.get("image_adapter") or {}), "spatial": branch}
    return out


def _row(config: SaveConfig, found: ModelProfile) -> tuple[str, ...]:
    adapter = config.image_adapter
    counts = (found.total, found.frozen, found.trained, *found.parts.values())
    flops = (sum(found.flops.values()), found.flops["image adapters"])
    return (
        config.name,
        str(config.image_size),
        "no adapter" if adapter is None else adapter.spatial,
        *(f"{count / 1e6:.2f}" for count in counts),
        *(f"{count / 1e9:.1f}" for count in flops),
    )


def _record(config: SaveConfig, found: ModelProfile) -> dict[str, Any]:
    adapter = config.image_adapter
    return {
        "model": config.name,
        "image_size": config.image_size,
        "spatial": None if adapter is None else adapter.spatial,
        "total": found.total,
        "frozen": found.frozen,
        "trained": found.trained,
        "parts": dict(found.parts),
        "flops": dict(found.flops),
    }


def _markdown(cells: Any, widths: list[int]) -> str:
    padded = [
        cell.ljust(width) if i < COLUMNS else cell.rjust(width)
        for i, (cell, width) in enumerate(zip(cells, widths, strict=True))
    ]
    return f"| {' | '.join(padded)} |"
