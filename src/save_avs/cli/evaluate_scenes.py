"""`save-avs eval --data scenes`."""

from __future__ import annotations

from pathlib import Path

from save_avs.cli.progress import count as count_progress
from save_avs.cli.report_folder import evaluation_of, report_folder
from save_avs.cli.running import announced_model
from save_avs.cli.talk import say, show
from save_avs.data.corpus import Corpus, as_split
from save_avs.errors import UsageError
from save_avs.evaluation import evaluate_scenes, markdown, write_report
from save_avs.inference.folders import staged

CORPUS, SCENES, SEED = Path("corpora/stamps"), 600, 2024


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
    checked = as_split(split)
    count, drawn_from = scenes or SCENES, SEED if seed is None else seed
    folder = report_folder(output, evaluation_of(models, "scenes", split), overwrite=overwrite)
    things = Corpus.load(corpus or CORPUS, checked)
    if dry_run:
        say(f"would evaluate {models[0]} on {count} scenes of {corpus or CORPUS} {split} -> {folder}")
        return 0
    network = announced_model(models[0], device=device, precision=precision)

    def progress(done: int) -> None:
        count_progress("scenes", done, count)

    report = evaluate_scenes(network, things, scenes=count, seed=drawn_from, progress=progress)
    about = {
        "model": network.name,
        "data": "scenes",
        "split": split,
        "seed": drawn_from,
        "precision": network.precision,
    }
    with staged(folder, overwrite=overwrite) as part:
        write_report(report, about, part)
    show(markdown(report, about))
    say(f"report: {folder}")
    return 0
