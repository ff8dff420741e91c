"""ESC-50's free recordings in a corpus of their cutouts' classes."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from save_avs.errors import UsageError
from save_avs.synthesis.corpus import Manifest
from scripts.join_esc50 import JoinedRecordings, join_esc50, main

# Two dogs, an engine; rain, which no cutout makes; and an engine that is not on the list of free clips.
CLIPS = ("1-100032-A-0.wav", "5-203128-A-0.wav", "1-18527-A-44.wav", "1-17367-A-10.wav", "1-99999-A-44.wav")


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    corpus, root = tmp_path / "corpus", tmp_path / "ESC-50"
    images = ("cutouts/silent/sedan.png", "cutouts/silent/tree.png", "cutouts/dog/dog.png")
    for path in (*images, "sounds/dog/dog.wav"):
        (corpus / path).parent.mkdir(parents=True, exist_ok=True)
        (corpus / path).write_text(path)
    splits = {"cutouts/silent/sedan.png": ("train",), "sounds/dog/dog.wav": ("test",)}
    Manifest.model_validate({"splits": splits}).save(corpus)
    (root / "audio").mkdir(parents=True)
    for clip in CLIPS:
        (root / "audio" / clip).write_text(clip)
    return corpus, root


def test_free_recordings_join_their_classes_and_the_last_fold_validates(folders, tmp_path) -> None:
    out = tmp_path / "out"
    joined = join_esc50(*folders, out)
    assert joined == JoinedRecordings(recordings=3, classes=2, missing=40 + 37 + 33 - 3)
    assert {p.relative_to(out).as_posix() for p in out.rglob("*.*")} == {
        "corpus.json",
        "esc50-sources.csv",
        "cutouts/car/sedan.png",
        "cutouts/silent/tree.png",
        "cutouts/dog/dog.png",
        "sounds/dog/dog.wav",
        "sounds/dog/esc50-1-100032-A-0.wav",
        "sounds/dog/esc50-5-203128-A-0.wav",
        "sounds/car/esc50-1-18527-A-44.wav",
    }
    assert Manifest.load(out).splits == {
        "cutouts/car/sedan.png": ("train",),
        "sounds/dog/dog.wav": ("test",),
        "sounds/dog/esc50-1-100032-A-0.wav": ("train",),
        "sounds/dog/esc50-5-203128-A-0.wav": ("val",),
        "sounds/car/esc50-1-18527-A-44.wav": ("train",),
    }
    with (out / "esc50-sources.csv").open(newline="") as file:
        credits = {row["clip"]: row for row in csv.DictReader(file)}
    assert credits.keys() == {"1-100032-A", "5-203128-A", "1-18527-A"}
    assert credits["1-100032-A"]["author"] == "nfrae" and credits["1-100032-A"]["license"] == "CC0"
    assert (folders[0] / "cutouts/silent/sedan.png").exists()


def test_held_out_recordings_replace_the_corpus_s_own_sounds(folders, tmp_path) -> None:
    out = tmp_path / "out"
    assert join_esc50(*folders, out, held_out=True)[:2] == (1, 1)
    (sound,) = (out / "sounds").rglob("*.wav")
    assert sound.name == "esc50-5-203128-A-0.wav"
    assert Manifest.load(out).splits["sounds/dog/esc50-5-203128-A-0.wav"] == ("test",)
    assert (out / "cutouts/dog/dog.png").exists() and (folders[0] / "sounds/dog/dog.wav").exists()


def test_command_says_what_was_joined_and_what_cannot_be(folders, tmp_path, capsys, monkeypatch) -> None:
    corpus, root = map(str, folders)
    out = tmp_path / "out"
    monkeypatch.setattr("sys.argv", ["join_esc50.py", corpus, "--root", root, "-o", str(out)])
    main()
    expected = f"3 recordings joined, classes: 2, 107 missing\ncorpus: {out}\n"
    assert capsys.readouterr().out == expected
    none, other = str(tmp_path / "none"), str(tmp_path / "no")
    monkeypatch.setattr("sys.argv", ["join_esc50.py", corpus, "--root", none, "-o", other])
    with pytest.raises(SystemExit, match="2"):
        main()
    assert "none: no such folder" in capsys.readouterr().err


def test_folder_without_clips_is_refused_and_nothing_is_written(folders, tmp_path) -> None:
    with pytest.raises(UsageError, match="no free clip of ESC-50"):
        join_esc50(folders[0], folders[0], tmp_path / "out")
    assert not (tmp_path / "out").exists()
