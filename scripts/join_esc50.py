"""Join ESC-50's free recordings to a corpus built by build_tuxpaint_corpus.py, in a new corpus.

    python scripts/join_esc50.py corpora/tuxpaint esc50-free corpora/small

``esc50.yaml`` says which of the 50 sounds belong to which class. The recordings come from a folder with one
folder per sound and ``sources.csv``, which names author and license of each; it is copied into the corpus.
Clips of the fold that is held out serve validation alone.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path
from typing import Any

import yaml

from save_avs._files import atomic_folder
from save_avs.errors import SaveAvsError, UsageError
from save_avs.synthesis.corpus import Manifest


def join_esc50(corpus: Path, recordings: Path, target: Path) -> None:
    """Write ``target``: the corpus with the recordings among the sounds of their classes.

    Raises:
        UsageError: a folder is not what it should be.
    """
    plan: dict[str, Any] = yaml.safe_load(Path(__file__).with_name("esc50.yaml").read_text("utf-8"))
    for source in (corpus / "corpus.json", recordings / "sources.csv"):
        if not source.is_file():
            raise UsageError(f"{source}: no such file")
    with atomic_folder(target) as folder:
        shutil.copytree(corpus, folder, dirs_exist_ok=True)
        manifest = Manifest.load(folder)
        splits = dict(manifest.splits)
        for name, cutouts in plan["cutouts"].items():
            for cutout in cutouts:
                _move_cutout(folder, cutout, name, splits)
        for name, sounds in plan["classes"].items():
            for clip in (clip for sound in sounds for clip in sorted((recordings / sound).iterdir())):
                path = folder / "sounds" / name / f"esc50-{clip.name}"
                path.parent.mkdir(exist_ok=True)
                shutil.copyfile(clip, path)
                held_out = clip.name.startswith(f"{plan['held_out_fold']}-")
                splits[path.relative_to(folder).as_posix()] = ("val",) if held_out else ("train",)
        shutil.copyfile(recordings / "sources.csv", folder / "esc50-sources.csv")
        manifest.model_copy(update={"splits": splits}).save(folder)


def _move_cutout(folder: Path, cutout: str, name: str, splits: dict[str, Any]) -> None:
    before, after = Path("cutouts/silent") / f"{cutout}.png", Path("cutouts") / name / f"{cutout}.png"
    (folder / after).parent.mkdir(exist_ok=True)
    (folder / before).rename(folder / after)
    splits[after.as_posix()] = splits.pop(before.as_posix())


def main() -> None:
    """Join what the command line names."""
    parser = argparse.ArgumentParser(description="Join ESC-50's free recordings to a corpus.")
    parser.add_argument("corpus", type=Path, help="the corpus of build_tuxpaint_corpus.py")
    parser.add_argument("recordings", type=Path, help="folder of recordings, one folder per sound")
    parser.add_argument("target", type=Path, help="corpus to make")
    arguments = parser.parse_args()
    try:
        join_esc50(arguments.corpus, arguments.recordings, arguments.target)
    except SaveAvsError as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
