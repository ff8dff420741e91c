"""`eval` of one model under right and wrong sounds: on composed scenes, and on real photographs."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from save_avs.cli._console import plural, print_block, print_line


def evaluate_on_scenes(
    name: str,
    source: Path,
    split: str,
    scenes: int,
    seed: int,
    run: dict[str, str],
    *,
    folder: Path,
    overwrite: bool,
    dry_run: bool,
) -> int:
    """Evaluate a model on scenes composed from a corpus, and write the report into a folder."""
    from save_avs.evaluation.scenes import evaluate_scenes
    from save_avs.synthesis.corpus import Corpus, parse_split

    corpus = Corpus.load(source, parse_split(split))
    if dry_run:
        print_line(f"would evaluate {name} on {plural(scenes, 'scene')} of {source} {split} -> {folder}")
        return 0

    def score(model: Any, progress: Callable[[int], None]) -> Any:
        return evaluate_scenes(model, corpus, scenes=scenes, seed=seed, progress=progress)

    info = {"data": "scenes", "split": split, "seed": seed}
    return _score(name, run, info, "scenes", scenes, score, folder, overwrite)


def evaluate_on_real(
    name: str, root: Path, seed: int, run: dict[str, str], *, folder: Path, overwrite: bool, dry_run: bool
) -> int:
    """Evaluate a model on photographs and recordings, and write the report into a folder."""
    from save_avs.evaluation.real_photographs import RealSet, evaluate_real

    data = RealSet.load(root)
    count = len(data.photos)
    if dry_run:
        print_line(f"would evaluate {name} on {plural(count, 'photograph')} of {root} -> {folder}")
        return 0

    def score(model: Any, progress: Callable[[int], None]) -> Any:
        return evaluate_real(model, data, seed=seed, progress=progress)

    return _score(name, run, {"data": "real", "seed": seed}, "photographs", count, score, folder, overwrite)


def _score(
    name: str,
    run: dict[str, str],
    info: dict[str, Any],
    what: str,
    count: int,
    score: Callable[[Any, Callable[[int], None]], Any],
    folder: Path,
    overwrite: bool,
) -> int:
    from save_avs._files import atomic_folder
    from save_avs.cli._models import load_and_announce
    from save_avs.cli._progress import print_count

    model = load_and_announce(name, **run)
    report = score(model, lambda done: print_count(what, done, count))
    info = {"model": model.name, **info, "precision": model.precision}
    with atomic_folder(folder, overwrite=overwrite) as part:
        report.save(part, info)
    print_block(report.table(info))
    print_line(f"report: {folder}")
    return 0
