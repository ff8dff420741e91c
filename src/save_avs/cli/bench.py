"""`save-avs bench`: how fast a model runs on this machine, and what runs it fastest."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from save_avs.cli._console import print_block, print_info, print_line
from save_avs.cli._options import AsJson
from save_avs.cli.completion import model_names
from save_avs.errors import UsageError

if TYPE_CHECKING:
    from save_avs.evaluation.speed import SpeedMeasurement

EXAMPLES = """Examples:

\b
  save-avs bench
  save-avs bench --choose
  save-avs bench save-vit-b --size 1024 --batch 1
  save-avs bench runs/s4/model --json > speed.json

\b
Times are medians of runs taken in turns, on composed scenes. The limit is the
fastest matrix product of the same rounds. --choose remembers the fastest way
whose masks agree with float32's, and segment --runtime auto takes it.
"""


def bench(
    model: Annotated[
        str,
        typer.Argument(
            metavar="[NAME|PATH|PRESET]",
            help="A model, or a preset with random weights.",
            autocompletion=model_names,
        ),
    ] = "save-tiny",
    batch: Annotated[int, typer.Option("--batch", min=1, help="Frames at once.")] = 8,
    rounds: Annotated[int, typer.Option("--rounds", min=1, help="How often each way is timed.")] = 7,
    size: Annotated[
        int | None, typer.Option("--size", metavar="PX", help="Side of a preset's input.")
    ] = None,
    choose: Annotated[bool, typer.Option("--choose", help="Remember the fastest for this machine.")] = False,
    as_json: AsJson = False,
) -> int:
    """Time a model through every installed runtime and precision, beside the machine's own limit."""
    import torch

    from save_avs.models import PRESETS

    preset = model in PRESETS
    if preset and choose:
        raise UsageError("--choose is for a model that is used: give a bundled name or a folder")
    if size is not None and not preset:
        raise UsageError(f"--size is for presets ({', '.join(PRESETS)}); a model has its own")
    speeds = _of_preset(model, size, batch, rounds) if preset else _of_model(model, batch, rounds)
    if as_json:
        about = {"model": model, "batch": batch, "rounds": rounds, "threads": torch.get_num_threads()}
        print_block(json.dumps({**about, "torch": torch.__version__, "speeds": [asdict(s) for s in speeds]}))
    else:
        print_line(f"{model}, batch {batch}, {torch.get_num_threads()} threads, torch {torch.__version__}")
        print_block(_table(speeds, agree=not preset))
    if choose:
        _choose(model, speeds)
    return 0


def _of_model(name: str, batch: int, rounds: int) -> list[SpeedMeasurement]:
    from save_avs.evaluation.speed import load_candidates, measure_speed
    from save_avs.models.profile import profile_model
    from save_avs.models.serialization import read_config
    from save_avs.runtimes.loading import find_model_folder

    folder = find_model_folder(name)
    return measure_speed(
        load_candidates(folder), profile_model(read_config(folder)), batch_size=batch, rounds=rounds
    )


def _of_preset(name: str, size: int | None, batch: int, rounds: int) -> list[SpeedMeasurement]:
    from save_avs.evaluation.speed import export_candidates, measure_speed
    from save_avs.models import SaveConfig, build_save
    from save_avs.models.profile import profile_model

    config = SaveConfig.from_preset(name) if size is None else SaveConfig.from_preset(name, image_size=size)
    with export_candidates(build_save(config).eval()) as ways:
        return measure_speed(ways, profile_model(config), batch_size=batch, rounds=rounds)


def _table(speeds: list[SpeedMeasurement], *, agree: bool) -> str:
    """Markdown; whether masks agree means nothing where the weights are random."""
    head = ["part", "runtime", "precision", "ms a frame", "times float32", "share of the limit", "GFLOP/s"]
    rows = [
        [s.part, s.runtime, s.precision, f"{s.ms:.1f}", f"{s.ratio:.2f}", f"{s.share:.0%}", f"{s.peak:.0f}"]
        for s in speeds
    ]
    if agree:
        head.append("mask IoU with float32")
        for row, speed in zip(rows, speeds, strict=True):
            row.append("" if speed.agreement is None else f"{speed.agreement:.4f}")
    rules = ["---"] * 3 + ["--:"] * (len(head) - 3)
    return "\n".join(f"| {' | '.join(line)} |" for line in [head, rules, *rows])


def _choose(model: str, speeds: list[SpeedMeasurement]) -> None:
    from save_avs.evaluation.speed import fast_cpu_precisions
    from save_avs.metrics.frame_scores import MIN_MASK_AGREEMENT
    from save_avs.runtimes.loading import find_model_folder
    from save_avs.runtimes.selection import RuntimeTiming, fastest_runtime, save_timings

    folder: Path = find_model_folder(model)
    same = [s for s in speeds if s.agreement is not None and s.agreement >= MIN_MASK_AGREEMENT]
    file = save_timings(
        folder, [RuntimeTiming(runtime=s.runtime, precision=s.precision, ms=s.ms) for s in same]
    )
    for precision in fast_cpu_precisions():
        print_info(f"--runtime auto takes {fastest_runtime(folder, precision)} in {precision}")
    print_info(f"remembered in {file}")
