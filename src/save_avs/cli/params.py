"""`save-avs params`: parameters and operations of models."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from typer import Argument, Option

from save_avs._text import json_document, markdown_table
from save_avs.cli._console import print_block
from save_avs.cli._options import AsJson
from save_avs.errors import UsageError, first_problem

if TYPE_CHECKING:
    from save_avs.models import SaveConfig
    from save_avs.models.profile import ModelProfile

BRANCHES = ("full", "depthwise", "bottleneck", "none")


def params(
    names: Annotated[
        list[str] | None,
        Argument(metavar="[PRESET|PATH]...", show_default="all presets", help="Presets, or models."),
    ] = None,
    sizes: Annotated[
        list[int] | None,
        Option("--size", metavar="PX", show_default="the model's own", help="Input size; repeatable."),
    ] = None,
    branches: Annotated[
        list[str] | None,
        Option(
            "--spatial",
            metavar="|".join(BRANCHES),
            show_default="all, of presets; a model's own",
            help="Spatial branch of the image adapters; repeatable.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> int:
    """Show parameters (total, frozen, trained, per part) and operations per frame; no weights are needed.

    \b
    Examples:
      save-avs params
      save-avs params save-vit-b --size 256 --size 1024 --spatial full --spatial depthwise
      save-avs params save-small runs/s4/model
      save-avs params --json > sizes.json

    Parameters in millions. GFLOP: multiplications and additions of one frame and its sound in matrix products
    and convolutions, as computed here.
    """
    from save_avs.models.profile import PARTS, profile_model

    records = [_record(config, profile_model(config)) for config in _configs(names, sizes, branches)]
    if as_json:
        print_block(json_document(records))
    else:
        head = ["model", "px", "branch", "total", "frozen", "trained", *PARTS, "GFLOP", "adapters' GFLOP"]
        print_block(markdown_table(head, map(_row, records), right_from=3, padded=True))
    return 0


def _configs(
    names: list[str] | None, sizes: list[int] | None, branches: list[str] | None
) -> list[SaveConfig]:
    from pydantic import ValidationError

    from save_avs.models import PRESETS, SaveConfig
    from save_avs.models.serialization import read_config
    from save_avs.runtimes.loading import find_model_folder

    configs = []
    for name in names or PRESETS:
        is_preset = name in PRESETS
        base = {"preset": name} if is_preset else read_config(find_model_folder(name)).model_dump()
        shown = branches or (BRANCHES if is_preset else [None])
        try:
            for size in sizes or [None]:
                configs += [SaveConfig.model_validate(_changed(base, size, branch)) for branch in shown]
        except ValidationError as error:
            raise UsageError(first_problem(error)) from error
    for config in configs:
        if config.image_size % 16:
            raise UsageError(f"--size {config.image_size} must be a multiple of the patch size, 16")
    return configs


def _changed(config: dict[str, Any], size: int | None, branch: str | None) -> dict[str, Any]:
    changes: dict[str, Any] = {} if size is None else {"image_size": size}
    if branch is not None:
        changes["image_adapter"] = {**(config.get("image_adapter") or {}), "spatial": branch}
    return config | changes


def _record(config: SaveConfig, profile: ModelProfile) -> dict[str, Any]:
    return {
        "model": config.name,
        "image_size": config.image_size,
        "spatial": config.image_adapter and config.image_adapter.spatial,
        "total": profile.total,
        "frozen": profile.frozen,
        "trained": profile.trained,
        "parts": dict(profile.parts),
        "flops": dict(profile.flops),
    }


def _row(record: dict[str, Any]) -> list[str]:
    counts = (record["total"], record["frozen"], record["trained"], *record["parts"].values())
    flops = (sum(record["flops"].values()), record["flops"]["image adapters"])
    head = [record["model"], str(record["image_size"]), record["spatial"] or "no adapter"]
    return [*head, *(f"{count / 1e6:.2f}" for count in counts), *(f"{count / 1e9:.1f}" for count in flops)]
