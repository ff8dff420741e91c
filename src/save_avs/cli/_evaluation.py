"""The runs of `eval`: on clips of a dataset, on composed scenes, on photographs with recordings."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from save_avs._text import json_document
from save_avs.cli._console import plural, print_block, print_info, print_line
from save_avs.cli._options import check_overwrite
from save_avs.errors import DataError, UsageError

if TYPE_CHECKING:
    from save_avs.datasets.image_and_video_clips import ClipDataset
    from save_avs.evaluation.report import BenchmarkReport


@dataclass(frozen=True)
class EvaluationRun:
    """Options of every evaluation."""

    folder: Path  # of the report
    overwrite: bool
    dry_run: bool
    device: str
    precision: str

    def load(self, name: str) -> Any:
        """Load a model to evaluate, and print what it is."""
        from save_avs.cli._models import load_and_announce

        return load_and_announce(name, device=self.device, precision=self.precision)


def evaluate_by_sound(
    run: EvaluationRun, name: str, root: Path, *, split: str, scenes: int | None, seed: int
) -> int:
    """Evaluate a model under right and wrong sounds, on photographs, or on so many composed ``scenes``."""
    if scenes is None:
        from save_avs.evaluation.real_photographs import RealSet, evaluate_real

        data = RealSet.load(root)
        number, noun, where, info = len(data.photos), "photograph", f"{root}", {"data": "real"}
        evaluate = partial(evaluate_real, data=data)
    else:
        from save_avs.evaluation.scenes import evaluate_scenes
        from save_avs.synthesis.corpus import Corpus, parse_split

        corpus = Corpus.load(root, parse_split(split))
        number, noun, where, info = scenes, "scene", f"{root} {split}", {"data": "scenes", "split": split}
        evaluate = partial(evaluate_scenes, corpus=corpus, scenes=scenes)
    if run.dry_run:
        print_line(f"would evaluate {name} on {plural(number, noun)} of {where} -> {run.folder}")
        return 0
    from save_avs._files import atomic_folder
    from save_avs.cli._progress import print_count

    model = run.load(name)
    report = evaluate(model, seed=seed, progress=lambda done: print_count(f"{noun}s", done, number))
    info = {"model": model.name, **info, "seed": seed, "precision": model.precision}
    with atomic_folder(run.folder, overwrite=run.overwrite) as part:
        report.save(part, info)
    print_block(report.table(info))
    print_line(f"report: {run.folder}")
    return 0


@dataclass(frozen=True)
class MaskFiles:
    """Options on masks in files."""

    read: list[Path]  # folders to score
    content: Any  # what their 8-bit PNGs hold
    written: Path | None  # folder to write masks to, or None
    file_format: Any  # of these

    def check(self, models: list[str], *, overwrite: bool) -> None:
        """Raise UsageError on unknown values, or nothing to write."""
        from save_avs.evaluation.prediction_files import PNG_CONTENTS
        from save_avs.evaluation.predictions import MASK_FILE_FORMATS

        for value, option, known in (
            (self.content, "--masks-hold", PNG_CONTENTS),
            (self.file_format, "--mask-format", MASK_FILE_FORMATS),
        ):
            if value not in known:
                raise UsageError(f"{option} {value}: choose from {', '.join(known)}")
        if self.written is not None and not models:
            raise UsageError("--save-masks writes a model's masks: name a model")
        check_overwrite(self.written, overwrite)


def evaluate_on_clips(
    run: EvaluationRun,
    models: list[str],
    files: MaskFiles,
    data: str,
    root: str,
    split: str,
    *,
    settings: dict[str, Any],
    published: bool,
    as_json: bool,
) -> int:
    """Score all models and folders of masks, compare them with the first, write and print the reports."""
    from save_avs._files import atomic_folder, atomic_write
    from save_avs.datasets import as_published, available_splits, open_dataset
    from save_avs.evaluation.comparison import compare
    from save_avs.evaluation.predictions import PredictionWriter, open_predictions
    from save_avs.metrics.protocols import get_protocols
    from save_avs.runtimes.loading import find_model_folder

    files.check(models, overwrite=run.overwrite)
    get_protocols(settings["protocols"], settings["size"])
    for model in models:
        find_model_folder(model)
    clips = open_dataset(data, root, split)
    clips = as_published(clips) if published else clips
    others = [open_dataset(data, root, s) for s in available_splits(data, root) if files.read and s != split]
    names = _unique_names([*models, *map(str, files.read)])
    masks = {
        name: open_predictions(path, clips, content=files.content, others=others)
        for name, path in list(names.items())[len(models) :]
    }
    if run.dry_run:
        plan = {"models": models, "masks": list(map(str, files.read)), "data": data, "split": split}
        plan |= {"clips": len(clips), "folder": str(run.folder)}
        line = f"would evaluate {', '.join(names)} on {plural(len(clips), 'clip')} of {data} {split}"
        print_block(json_document(plan)) if as_json else print_line(f"{line} -> {run.folder}")
        return 0
    reports = {}
    with ExitStack() as stack:
        for name, path in names.items():
            source: Any = masks[name] if name in masks else run.load(path)
            options = dict(settings)
            if name not in masks and files.written is not None:
                target = files.written / name if len(models) > 1 else files.written
                part = stack.enter_context(atomic_folder(target, overwrite=run.overwrite))
                options["on_outputs"] = PredictionWriter(part, clips, source, files.file_format).add
            reports[name] = _score(source, clips, options, f"{name} on {data}")
    (first, reference), *rest = reports.items()
    comparisons = [compare(reference, report, names=(first, name)) for name, report in rest]
    compared = [comparison.as_json() for comparison in comparisons]
    with atomic_folder(run.folder, overwrite=run.overwrite) as part:
        for name, report in reports.items():
            report.save(part / name if rest else part)
        if comparisons:
            atomic_write(part / "comparison.json", json_document({"comparisons": compared}))
            atomic_write(part / "comparison.md", "\n".join(comparison.table() for comparison in comparisons))
    if as_json:
        shown = {name: report.as_json() for name, report in reports.items()}
        print_block(json_document({"folder": str(run.folder), "reports": shown, "comparisons": compared}))
    else:
        for part in (*reports.values(), *comparisons):
            print_block(part.table())
        print_line(f"report: {run.folder}")
        if files.written is not None:
            print_line(f"masks: {files.written}")
    return DataError.exit_code if any(report.info.skipped for report in reports.values()) else 0


def _score(source: Any, clips: ClipDataset, settings: dict[str, Any], title: str) -> BenchmarkReport:
    from save_avs.cli._progress import VideoProgress
    from save_avs.evaluation.benchmark import evaluate_clips

    with VideoProgress(title) as progress:
        report = evaluate_clips(source, clips, progress=progress.update, **settings)
        for reason in report.info.skipped:
            progress.warn(f"left out: {reason}")
    info = report.info
    speed = info.frames / max(info.seconds, 1e-9)
    print_info(f"{plural(info.frames, 'frame')} in {info.seconds:.1f} s, {speed:.1f} fps")
    return report


def model_label(model: str) -> str:
    """Return a short name of a model: its folder's name; run and stage of ``RUN/STAGE/model``."""
    path = Path(model).resolve()
    return "-".join(path.parts[-3:-1]) if path.name == "model" else path.name


def _unique_names(models: list[str]) -> dict[str, str]:
    """Return the models by short names, which get a number where they would be equal."""
    names: dict[str, str] = {}
    for model in models:
        label = model_label(model)
        free = (label if n == 1 else f"{label}-{n}" for n in count(1))
        names[next(name for name in free if name not in names)] = model
    return names
