"""Join ESC-50's free recordings to the cutouts of the classes that make those sounds, as a new corpus.

    python scripts/join_esc50.py corpora/tuxpaint --root ESC-50 -o corpora/small
    python scripts/join_esc50.py corpora/tuxpaint --root ESC-50 -o corpora/heard --held-out

The first is for training. In the second a class has no sound but the recordings that the first leaves out of
training, for ``save-avs eval --data scenes``: how well a model knows sounds that others recorded.

ESC-50 as a whole is under CC BY-NC. ``esc50_free.csv`` lists the 1,769 clips whose own license is CC0 or
CC BY, with their authors; ``esc50.yaml`` says which of the 50 sounds belong to which class.
OUT/esc50-sources.csv names the authors: publish it with weights that learned from their recordings.

Source: Piczak, "ESC: Dataset for Environmental Sound Classification", ACM Multimedia 2015.
"""

import argparse
import csv
import io
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from save_avs._files import atomic_folder, atomic_write
from save_avs.errors import SaveAvsError, UsageError
from save_avs.synthesis.corpus import CorpusSplit, Manifest, find_corpus

CREDITS = "esc50-sources.csv"
_CLIP = re.compile(r"(\d-\d+-[A-Z])(-\d+)?")  # ESC-50's own names end with the number of the sound
_DATA = Path(__file__).parent


class JoinedRecordings(NamedTuple):
    """How many recordings were joined to how many classes, and how many the folder lacks."""

    recordings: int
    classes: int
    missing: int


def join_esc50(
    corpus: str | Path, root: str | Path, target: str | Path, *, held_out: bool = False
) -> JoinedRecordings:
    """Write a corpus with the free recordings among the sounds of its classes, and who made them.

    Recordings of the last fold serve validation alone.

    Args:
        corpus: with cutouts of the classes; it stays as it is.
        root: ESC-50's repository, or any folder of its clips under their names.
        target: a folder that does not exist yet.
        held_out: join recordings of the last fold alone, for testing, in place of the corpus's own sounds.

    Raises:
        UsageError: no class of the corpus makes one of the sounds, or the folder has no free clip of them.
    """
    plan: dict[str, Any] = yaml.safe_load((_DATA / "esc50.yaml").read_text("utf-8"))
    clips = find_clips(root)
    with atomic_folder(Path(target)) as folder:
        left_out = shutil.ignore_patterns("sounds") if held_out else None
        shutil.copytree(find_corpus(corpus), folder, dirs_exist_ok=True, ignore=left_out)
        manifest = Manifest.load(folder)
        splits = dict(manifest.splits)
        for name, cutouts in plan["cutouts"].items():
            for cutout in cutouts:
                _move_silent_cutout(folder, cutout, name, splits)
        wanted = list(_free_recordings(folder, plan["classes"]))
        last_fold = f"{plan['held_out_fold']}-"
        if held_out:
            wanted = [(name, row) for name, row in wanted if row["clip"].startswith(last_fold)]
        found = [(name, row) for name, row in wanted if row["clip"] in clips]
        if not wanted:
            raise UsageError(f"{corpus} has no class that makes one of ESC-50's sounds: nothing to join")
        if not found:
            raise UsageError(f"{root} has no free clip of ESC-50: give the folder of its repository")
        for name, row in found:
            source = clips[row["clip"]]
            path = folder / "sounds" / name / f"esc50-{source.name}"
            path.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, path)
            split = "test" if held_out else "val" if row["clip"].startswith(last_fold) else "train"
            splits[path.relative_to(folder).as_posix()] = (split,)
        manifest.model_copy(update={"splits": splits}).save(folder)
        write_credits(folder / CREDITS, [row for _, row in found])
    return JoinedRecordings(len(found), len({name for name, _ in found}), len(wanted) - len(found))


def find_clips(root: str | Path) -> dict[str, Path]:
    """Return the clips in a folder and those below it, by their names without the sound's number."""
    paths = sorted(Path(root).rglob("*"))
    return {match[1]: path for path in paths if (match := _CLIP.fullmatch(path.stem))}


def free_clips() -> list[dict[str, str]]:
    """Return the rows of ``esc50_free.csv``."""
    return list(csv.DictReader(io.StringIO((_DATA / "esc50_free.csv").read_text("utf-8"))))


def _free_recordings(folder: Path, classes: dict[str, list[str]]) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield each free clip of a sound that a class with cutouts makes, with the class."""
    rows = free_clips()
    for name, sounds in classes.items():
        if (folder / "cutouts" / name).is_dir():
            yield from ((name, row) for row in rows if row["sound"] in sounds)


def _move_silent_cutout(
    folder: Path, cutout: str, name: str, splits: dict[str, tuple[CorpusSplit, ...]]
) -> None:
    """Give a silent cutout, where the corpus has it, to the class that makes its sound."""
    before, after = (f"cutouts/{group}/{cutout}.png" for group in ("silent", name))
    if (folder / before).exists():
        (folder / after).parent.mkdir(exist_ok=True)
        (folder / before).rename(folder / after)
        if before in splits:
            splits[after] = splits.pop(before)


def write_credits(path: Path, rows: list[dict[str, str]]) -> None:
    """Write the table of who made what, a row per file."""
    text = io.StringIO()
    writer = csv.DictWriter(text, rows[0].keys(), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    atomic_write(path, text.getvalue())


def main() -> None:
    """Join the recordings that the command line names."""
    parser = argparse.ArgumentParser(description="Join ESC-50's free recordings (CC0, CC BY) to a corpus.")
    parser.add_argument("corpus", help="a corpus's folder, or: sample")
    parser.add_argument("--root", type=Path, required=True, metavar="DIR", help="your copy of ESC-50")
    parser.add_argument("--output", "-o", type=Path, required=True, metavar="OUT", help="corpus to make")
    parser.add_argument(
        "--held-out", action="store_true", help="only recordings that training leaves out, for testing"
    )
    arguments = parser.parse_args()
    if not arguments.root.is_dir():
        parser.error(f"--root {arguments.root}: no such folder")
    try:
        joined = join_esc50(arguments.corpus, arguments.root, arguments.output, held_out=arguments.held_out)
    except SaveAvsError as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    lacking = f", {joined.missing} missing" if joined.missing else ""
    print(f"{joined.recordings} recordings joined, classes: {joined.classes}{lacking}")
    print(f"corpus: {arguments.output}")


if __name__ == "__main__":
    main()
