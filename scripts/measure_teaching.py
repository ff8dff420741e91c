"""Measure `save-avs teach` on six objects: five pictures and three recordings, then others of both.

    python -m scripts.measure_teaching corpora/small --root ESC-50 -o teaching.csv

``teaching.yaml`` lists the objects: Tux Paint stamps that never sound in any training stage, and a sound of
ESC-50 that belongs to none of the model's classes. The stamps are left out of the corpus that is rehearsed. A
test scene shows one object to be found, with a stamp and a recording (of fold 5) that teaching did not have,
among up to three other things. Each row is written when its object is done.
"""

import argparse
import csv
import sys
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml

from save_avs.errors import SaveAvsError, UsageError
from save_avs.evaluation.scenes import evaluate_scenes
from save_avs.runtimes.loading import load_model
from save_avs.synthesis.corpus import Corpus, Manifest
from save_avs.synthesis.sample_streams import EVAL_OPTIONS
from save_avs.training.teach_new_class import DEFAULT_STEPS, teach
from scripts.join_esc50 import find_clips, free_clips

RECORDINGS = 3
OBJECTS = Path(__file__).with_name("teaching.yaml")
COLUMNS: tuple[str, ...] = (
    "object",
    "sound",
    "before",
    "after",
    "low",
    "high",
    "scenes",
    "old before",
    "old after",
    "seconds",
)


def link(files: list[Path], folder: Path) -> Path:
    """Make a folder of links to files."""
    folder.mkdir(parents=True)
    for file in files:
        (folder / file.name).symlink_to(file.resolve())
    return folder


def find_stamps(corpus: Path) -> dict[str, Path]:
    """Return a corpus's cutouts by name."""
    return {path.stem: path for path in corpus.glob("cutouts/*/*.png")}


def check(objects: dict[str, Any], corpus: Path, root: Path) -> None:
    """Raise a UsageError if a stamp or the recordings of an object are missing."""
    stamps = find_stamps(corpus)
    for name, parts in objects.items():
        if missing := [stem for stem in (*parts["teach"], *parts["test"]) if stem not in stamps]:
            raise UsageError(f"{corpus} has no cutout {missing[0]}: build it with build_tuxpaint_corpus.py")
        if not all(find_recordings(root, parts["sound"])):
            raise UsageError(f"{root} has too few clips of {parts['sound']} for {name}: give all of ESC-50")


def find_recordings(root: Path, sound: str) -> tuple[list[Path], list[Path]]:
    """Return the free recordings that teach, of three sources, and those that test, of the last fold."""
    clips = find_clips(root)
    names = [row["clip"] for row in free_clips() if row["sound"] == sound and row["clip"] in clips]
    teaching = {name.split("-")[1]: clips[name] for name in names if not name.startswith("5-")}
    return list(teaching.values())[:RECORDINGS], [clips[name] for name in names if name.startswith("5-")]


def copy_without(corpus: Path, left_out: set[str], copy: Path) -> Path:
    """Make a copy of a corpus, of links, without some of its cutouts."""
    for path in corpus.rglob("*"):
        if path.is_file() and not (path.parts[-3] == "cutouts" and path.name.split(".")[0] in left_out):
            target = copy / path.relative_to(corpus)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.symlink_to(path.resolve())
    return copy


def load_test_corpus(rest: Path, stamps: list[Path], recordings: list[Path], folder: Path) -> Corpus:
    """Load a corpus in which the object alone sounds, and everything else never does."""
    (folder / "sounds").mkdir(parents=True)
    (folder / "cutouts").mkdir()
    for group in (rest / "cutouts").iterdir():
        (folder / "cutouts" / group.name).symlink_to(group)
    (folder / "backgrounds").symlink_to(rest / "backgrounds")
    link(stamps, folder / "cutouts/the object")
    link(recordings, folder / "sounds/the object")
    manifest = Manifest.load(rest)
    manifest.model_copy(update={"zero_shot": (), "test_from_s": {}}).save(folder)
    return Corpus.load(folder, "test")


def measure(
    name: str, parts: dict[str, Any], arguments: argparse.Namespace, folder: Path
) -> dict[str, object]:
    """Teach an object and score it on other pictures with other recordings."""
    stamps, (heard, tests) = find_stamps(arguments.corpus), find_recordings(arguments.root, parts["sound"])
    images = link([stamps[stem] for stem in parts["teach"]], folder / "images")
    sounds = link(heard, folder / "sounds")
    corpus = load_test_corpus(
        arguments.rest, [stamps[stem] for stem in parts["test"]], tests, folder / "test"
    )
    options = replace(EVAL_OPTIONS, silent_object_prob=1.0)

    def score(model: str | Path):
        loaded = load_model(model, precision="fp32")
        report = evaluate_scenes(loaded, corpus, scenes=arguments.scenes, seed=2024, options=options)
        return report.metrics["one source"]

    before = score(arguments.model)
    taught = teach(
        name,
        images,
        sounds,
        folder / "model",
        model=arguments.model,
        corpus=arguments.rest,
        steps=arguments.steps,
    )
    after = score(taught.folder)
    values = (name, parts["sound"], before.value, after.value, after.low, after.high, after.count)
    values += (taught.old_before, taught.old_after, taught.seconds)
    return dict(zip(COLUMNS, values, strict=True))


def main() -> None:
    """Measure every object, or those named."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("corpus", type=Path, help="of `join_esc50.py`")
    parser.add_argument("--root", type=Path, required=True, metavar="DIR", help="your copy of ESC-50")
    parser.add_argument("-o", "--output", type=Path, required=True, help="CSV file to write")
    parser.add_argument("--model", default="save-small")
    parser.add_argument("--objects", help="names with commas; all by default")
    parser.add_argument("--scenes", type=int, default=100)
    parser.add_argument("--steps", type=int, default=DEFAULT_STEPS)
    arguments = parser.parse_args()
    objects = yaml.safe_load(OBJECTS.read_text(encoding="utf-8"))
    chosen = arguments.objects.split(",") if arguments.objects else list(objects)
    if unknown := [name for name in chosen if name not in objects]:
        parser.error(f"--objects: no {unknown[0]}; choose from {', '.join(objects)}")
    try:
        check(objects, arguments.corpus, arguments.root)
        measure_all(objects, chosen, arguments)
    except SaveAvsError as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        sys.exit(error.exit_code)


def measure_all(objects: dict[str, Any], chosen: list[str], arguments: argparse.Namespace) -> None:
    """Measure the chosen objects and write a row of each."""
    left_out = {stem for parts in objects.values() for stem in (*parts["teach"], *parts["test"])}
    with TemporaryDirectory() as folder, arguments.output.open("w", newline="", encoding="utf-8") as file:
        arguments.rest = copy_without(arguments.corpus, left_out, Path(folder) / "rest")
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        for name in chosen:
            row = measure(name, objects[name], arguments, Path(folder) / name)
            writer.writerow({k: round(v, 3) if isinstance(v, float) else v for k, v in row.items()})
            file.flush()
            print(row, flush=True)


if __name__ == "__main__":
    main()
