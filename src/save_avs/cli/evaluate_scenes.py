"""`save-avs eval --data scenes`."""

from __future__ import annotations

from pathlib import Path

from save_avs._files import atomic_folder
from save_avs.cli._console import print_block, print_line
from save_avs.cli._models import load_and_announce
from save_avs.cli._output_dirs import default_eval_dir, resolve_output_dir
from save_avs.cli._progress import count as count_progress
from save_avs.errors import UsageError
from save_avs.evaluation import evaluate_scenes
from save_avs.synthesis.corpus import Corpus, parse_split

CORPUS, SCENES, SEED = Path("corpora/tuxpaint"), 600, 2024


def evaluate_on_scenes(
    models: list[str],
    *,
    split: str,
    corpus: Path | None,
    scenes: int | None,
    seed: int | None,
    output: Path | None,
    overwrite: bool,
    precision: str,
    device: str,
    dry_run: bool,
) -> int:
    """Measure one model on scenes drawn from a corpus, and print the report."""
    if len(models) > 1:
        raise UsageError("models are compared on clips of a data set: give one model, or another --data")
    checked = parse_split(split)
    count, drawn_from = scenes or SCENES, SEED if seed is None else seed
    folder = resolve_output_dir(output, default_eval_dir(models, "scenes", split), overwrite=overwrite)
    things = Corpus.load(corpus or CORPUS, checked)
    if dry_run:
        print_line(f"would evaluate {models[0]} on {count} scenes of {corpus or CORPUS} {split} -> {folder}")
        return 0
    network = load_and_announce(models[0], device=device, precision=precision)

    def progress(done: int) -> None:
        count_progress("scenes", done, count)

    report = evaluate_scenes(network, things, scenes=count, seed=drawn_from, progress=progress)
    info = {
        "model": network.name,
        "data": "scenes",
        "split": split,
        "seed": drawn_from,
        "precision": network.precision,
    }
    with atomic_folder(folder, overwrite=overwrite) as part:
        report.save(part, info)
    print_block(report.table(info))
    print_line(f"report: {folder}")
    return 0
