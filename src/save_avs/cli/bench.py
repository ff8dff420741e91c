"""`save-avs bench`: the speed of a model on this machine in every runtime and precision."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

from typer import Option

from save_avs._text import json_document, markdown_table
from save_avs.cli._console import print_block, print_info, print_line
from save_avs.cli._options import AsJson, model_argument
from save_avs.errors import UsageError

if TYPE_CHECKING:
    from save_avs.evaluation.runtime_speed import SpeedMeasurement


def bench(
    model: Annotated[
        str, model_argument("[NAME|PATH|PRESET]", "A model, or a preset with random weights.")
    ] = "save-small",
    batch: Annotated[int, Option(min=1, help="Frames per batch.")] = 8,
    rounds: Annotated[int, Option(min=1, help="Number of timings of each runtime.")] = 7,
    size: Annotated[int | None, Option(metavar="PX", help="Input size of a preset.")] = None,
    choose: Annotated[
        bool, Option("--choose", help="Remember the fastest runtime for --runtime auto.")
    ] = False,
    as_json: AsJson = False,
) -> int:
    """Measure a model's speed in every installed runtime and precision.

    \b
    Examples:
      save-avs bench
      save-avs bench --choose
      save-avs bench save-vit-b --size 1024 --batch 1
      save-avs bench runs/s4/model --json > speed.json

    Times are medians of runs taken in turns, on composed scenes. The limit is the fastest matrix product of
    the same rounds. --choose remembers the fastest runtime whose masks agree with those of float32.
    """
    import torch

    from save_avs.models import PRESETS

    preset = model in PRESETS
    if preset and choose:
        raise UsageError("--choose only applies to models: give a bundled name or a folder")
    if size is not None and not preset:
        raise UsageError(
            f"--size only applies to presets ({', '.join(PRESETS)}); {model} has a fixed input size"
        )
    speeds = _measure(model, size, batch_size=batch, rounds=rounds)
    threads = torch.get_num_threads()
    if as_json:
        settings = {"model": model, "batch": batch, "rounds": rounds, "threads": threads}
        measured = {"torch": torch.__version__, "speeds": [asdict(speed) for speed in speeds]}
        print_block(json_document(settings | measured))
    else:
        print_line(f"{model}, batch {batch}, {threads} threads, torch {torch.__version__}")
        print_block(_table(speeds, with_agreement=not preset))
    if choose:
        _remember_fastest(model, speeds)
    return 0


def _measure(name: str, size: int | None, **settings: int) -> list[SpeedMeasurement]:
    from save_avs.evaluation.runtime_speed import export_candidates, load_candidates, measure_speed
    from save_avs.models import PRESETS, SaveConfig, build_save
    from save_avs.models.profile import profile_model
    from save_avs.models.serialization import read_config
    from save_avs.runtimes.loading import find_model_folder

    if name in PRESETS:
        config = SaveConfig.from_preset(name, **({} if size is None else {"image_size": size}))
        with export_candidates(build_save(config).eval()) as candidates:
            return measure_speed(candidates, profile_model(config), **settings)
    folder = find_model_folder(name)
    return measure_speed(load_candidates(folder), profile_model(read_config(folder)), **settings)


def _table(speeds: list[SpeedMeasurement], *, with_agreement: bool) -> str:
    """Format a Markdown table; agreement of masks means nothing where the weights are random."""
    head = ["part", "runtime", "precision", "ms per frame", "times float32", "share of the limit", "GFLOP/s"]
    rows = [
        [s.part, s.runtime, s.precision, f"{s.ms:.1f}", f"{s.ratio:.2f}", f"{s.share:.0%}", f"{s.peak:.0f}"]
        for s in speeds
    ]
    if with_agreement:
        head.append("mask IoU with float32")
        for row, speed in zip(rows, speeds, strict=True):
            row.append("" if speed.agreement is None else f"{speed.agreement:.4f}")
    return markdown_table(head, rows, right_from=3, padded=True)


def _remember_fastest(model: str, speeds: list[SpeedMeasurement]) -> None:
    from save_avs.evaluation.runtime_speed import fast_cpu_precisions
    from save_avs.metrics.frame_scores import MIN_MASK_AGREEMENT
    from save_avs.runtimes.loading import find_model_folder
    from save_avs.runtimes.registry import RuntimeTiming, fastest_runtime, save_timings

    folder = find_model_folder(model)
    agreeing = [s for s in speeds if s.agreement is not None and s.agreement >= MIN_MASK_AGREEMENT]
    timings = [RuntimeTiming(runtime=s.runtime, precision=s.precision, ms=s.ms) for s in agreeing]
    file = save_timings(folder, timings)
    for precision in fast_cpu_precisions():
        print_info(f"--runtime auto takes {fastest_runtime(folder, precision)} in {precision}")
    print_info(f"remembered in {file}")
