"""`save-avs eval`: metrics of models with intervals, on a dataset of clips or on composed scenes."""

from __future__ import annotations

from contextlib import ExitStack
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import Argument, Option

from save_avs._text import json_document
from save_avs.cli._console import plural, print_block, print_info, print_line
from save_avs.cli._evaluate_by_sound import evaluate_on_real, evaluate_on_scenes
from save_avs.cli._mask_files import MaskFiles
from save_avs.cli._options import (
    AsJson,
    Device,
    DryRun,
    Overwrite,
    Precision,
    complete_models,
    output_folder,
    reject_options,
    resolve_output_dir,
)
from save_avs.errors import DataError, UsageError

if TYPE_CHECKING:
    from save_avs.datasets.image_and_video_clips import ClipDataset
    from save_avs.evaluation.report import BenchmarkReport

SCENES, REAL = "scenes", "real"
DEFAULT_CORPUS, DEFAULT_SCENES, SCENES_SEED = Path("corpora/tuxpaint"), 600, 2024


def evaluate(
    models: Annotated[
        list[str] | None,
        Argument(
            metavar="NAME|PATH",
            help="Bundled models or models' folders; the others are compared with the first.",
            autocompletion=complete_models,
            show_default=False,
        ),
    ] = None,
    data: Annotated[
        str,
        Option(
            metavar="NAME",
            help="Dataset: s4, ms3, v1s, v1m, v2, avss, v3-0, v3-1, v3-3, v3-5, synthetic, folder, scenes, "
            "real.",
        ),
    ] = SCENES,
    root: Annotated[
        str | None, Option(metavar="DIR|URL", help="Folder or URL that contains the dataset.")
    ] = None,
    split: Annotated[str, Option(metavar="train|val|test", help="Split to evaluate on.")] = "test",
    protocols: Annotated[
        list[str] | None,
        Option(
            "--protocol",
            metavar="NAME",
            help="Protocol, of official, official-batch4, dataset, sama, gavs, cavp; repeatable.",
            show_default="official, official-batch4, dataset",
        ),
    ] = None,
    size: Annotated[
        int | None, Option(min=1, metavar="PX", help="Size at which the protocol `dataset` compares masks.")
    ] = None,
    as_published: Annotated[
        bool,
        Option(
            "--as-published",
            help="Read and score AVSS (v1s, v1m, v2, avss) as the benchmark's public code, padding included.",
        ),
    ] = False,
    output: Annotated[
        Path | None,
        output_folder("a new folder in runs/eval", "Folder for report.json, report.md and examples.png."),
    ] = None,
    overwrite: Overwrite = False,
    skip_broken: Annotated[
        bool, Option("--skip-broken", help="Leave broken clips out and list them; exit code 3.")
    ] = False,
    masks: Annotated[
        list[Path] | None,
        Option(
            metavar="DIR",
            help="Score masks that any system wrote, named as the dataset's annotations; repeatable.",
        ),
    ] = None,
    masks_hold: Annotated[
        str | None,
        Option(
            metavar="mask|probability|labels",
            help="What 8-bit PNGs of --masks hold; 16-bit ones hold probabilities.",
            show_default="mask",
        ),
    ] = None,
    save_masks: Annotated[
        Path | None,
        Option(metavar="DIR", help="Write the predicted masks, named as the dataset's annotations."),
    ] = None,
    mask_format: Annotated[
        str | None,
        Option(
            metavar="npz|png16|png",
            help="Of --save-masks: logits, which score the same by --masks; probabilities; or masks.",
            show_default="npz",
        ),
    ] = None,
    batch: Annotated[int, Option(min=1, help="Frames per batch.")] = 16,
    as_json: AsJson = False,
    seed: Annotated[
        int | None, Option(min=0, help="Seed of the intervals, the tests and the scenes.")
    ] = None,
    corpus: Annotated[
        Path | None, Option(metavar="DIR", help="Corpus from which scenes are composed.")
    ] = None,
    scenes: Annotated[int | None, Option(min=1, help="Number of scenes.")] = None,
    precision: Precision = "auto",
    device: Device = "auto",
    dry_run: DryRun = False,
) -> int:
    """Evaluate models, or masks of any system, on a dataset of clips; models also on composed scenes.

    \b
    Examples:
      save-avs eval save-small --data s4 --root AVSBench --split test
      save-avs eval runs/s4/model --data ms3 --root AVSBench --protocol official --protocol cavp
      save-avs eval save-small runs/s4/model --data s4 --root AVSBench --json
      save-avs eval save-small --data s4 --root AVSBench --save-masks masks
      save-avs eval --masks masks --masks theirs --data s4 --root AVSBench --protocol official
      save-avs eval save-small --data scenes --corpus sample
      save-avs eval save-small --data real --root photographs
    """
    from save_avs.evaluation.benchmark import DEFAULT_PROTOCOLS

    models, masks = models or [], masks or []
    if not models and not masks:
        raise UsageError("nothing to evaluate: give a model, or --masks DIR")
    if not masks:
        reject_options({"--masks-hold": masks_hold}, "--masks")
    if save_masks is None:
        reject_options({"--mask-format": mask_format}, "--save-masks")
    if data in (SCENES, REAL):
        only_clips = {
            "--protocol": protocols,
            "--size": size,
            "--skip-broken": skip_broken,
            "--json": as_json,
        }
        only_clips |= {"--as-published": as_published, "--masks": masks or None, "--save-masks": save_masks}
        only_clips |= {"--root": root} if data == SCENES else {}
        reject_options(only_clips, "datasets of clips")
        if len(models) > 1:
            raise UsageError("Models are compared on datasets of clips: give one model, or another --data")
    if data != SCENES:
        reject_options({"--corpus": corpus, "--scenes": scenes}, "--data scenes")
        if root is None:
            raise UsageError(f"--data {data} requires --root DIR, the folder containing the dataset")
    default = Path("runs/eval", "-".join([*map(model_label, [*models, *map(str, masks)]), data, split]))
    folder = resolve_output_dir(output, default, overwrite=overwrite)
    common: dict[str, Any] = {"folder": folder, "overwrite": overwrite, "dry_run": dry_run}
    run = {"device": device, "precision": precision}
    if data == SCENES or root is None:
        seed = SCENES_SEED if seed is None else seed
        source, number = corpus or DEFAULT_CORPUS, scenes or DEFAULT_SCENES
        return evaluate_on_scenes(models[0], source, split, number, seed, run, **common)
    if data == REAL:
        return evaluate_on_real(models[0], Path(root), seed or 0, run, **common)
    settings = {"protocols": protocols or list(DEFAULT_PROTOCOLS), "size": size, "batch_size": batch}
    settings |= {"seed": seed or 0, "broken": "skip" if skip_broken else "stop"}
    files = MaskFiles(masks, masks_hold or "mask", save_masks, mask_format or "npz", overwrite)
    files.check(models)
    common |= {"as_json": as_json, "published": as_published}
    return _evaluate_on_clips(models, files, data, root, split, settings, run, **common)


def _evaluate_on_clips(
    models: list[str],
    files: MaskFiles,
    data: str,
    root: str,
    split: str,
    settings: dict[str, Any],
    run: dict[str, str],
    *,
    as_json: bool,
    published: bool,
    folder: Path,
    overwrite: bool,
    dry_run: bool,
) -> int:
    """Score all models and folders of masks, compare them with the first, write and print the reports."""
    from save_avs._files import atomic_folder, atomic_write
    from save_avs.datasets import as_published, available_splits, open_dataset
    from save_avs.evaluation.comparison import compare
    from save_avs.evaluation.predictions import open_predictions
    from save_avs.metrics.protocols import get_protocols
    from save_avs.runtimes.loading import find_model_folder

    get_protocols(settings["protocols"], settings["size"])
    for model in models:
        find_model_folder(model)
    clips = open_dataset(data, root, split)
    clips = as_published(clips) if published else clips
    others = [open_dataset(data, root, s) for s in available_splits(data, root) if files.read and s != split]
    names = _unique_names([*models, *map(str, files.read)])
    content: Any = files.content
    masks = {
        name: open_predictions(path, clips, content=content, others=others)
        for name, path in list(names.items())[len(models) :]
    }
    if dry_run:
        plan = {"models": models, "masks": list(map(str, files.read)), "data": data, "split": split}
        plan |= {"clips": len(clips), "folder": str(folder)}
        line = f"would evaluate {', '.join(names)} on {plural(len(clips), 'clip')} of {data} {split}"
        print_block(json_document(plan)) if as_json else print_line(f"{line} -> {folder}")
        return 0
    reports = {}
    with ExitStack() as stack:
        for name, path in names.items():
            title = f"{name} on {data}"
            if name in masks:
                reports[name] = _score(masks[name], clips, settings, title)
                continue
            part = stack.enter_context(files.open_writer(name if len(models) > 1 else None))
            reports[name] = _run_and_score(path, run, clips, settings, title, part, files.file_format)
    (first, reference), *rest = reports.items()
    comparisons = [compare(reference, report, names=(first, name)) for name, report in rest]
    compared = [comparison.as_json() for comparison in comparisons]
    with atomic_folder(folder, overwrite=overwrite) as part:
        for name, report in reports.items():
            report.save(part / name if rest else part)
        if comparisons:
            atomic_write(part / "comparison.json", json_document({"comparisons": compared}))
            atomic_write(part / "comparison.md", "\n".join(comparison.table() for comparison in comparisons))
    if as_json:
        shown = {name: report.as_json() for name, report in reports.items()}
        print_block(json_document({"folder": str(folder), "reports": shown, "comparisons": compared}))
    else:
        for part in (*reports.values(), *comparisons):
            print_block(part.table())
        print_line(f"report: {folder}")
        if files.written is not None:
            print_line(f"masks: {files.written}")
    return DataError.exit_code if any(report.info.skipped for report in reports.values()) else 0


def _run_and_score(
    model: str,
    run: dict[str, str],
    clips: ClipDataset,
    settings: dict[str, Any],
    title: str,
    folder: Path | None,
    file_format: Any,
) -> BenchmarkReport:
    """Score a model, and write its masks into a folder if there is one."""
    from save_avs.cli._models import load_and_announce
    from save_avs.evaluation.predictions import PredictionWriter

    network = load_and_announce(model, **run)
    if folder is not None:
        settings = settings | {"on_outputs": PredictionWriter(folder, clips, network, file_format).add}
    return _score(network, clips, settings, title)


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
