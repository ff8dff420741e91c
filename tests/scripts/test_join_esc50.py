"""ESC-50's recordings in a corpus of their cutouts' classes."""

from __future__ import annotations

from pathlib import Path

import pytest

from save_avs.errors import UsageError
from save_avs.synthesis.corpus import Manifest
from scripts import join_esc50
from scripts.join_esc50 import join_esc50 as join


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    plan = {"classes": {"dog": ["dog"], "car": ["engine"]}, "cutouts": {"car": ["sedan"]}, "held_out_fold": 5}
    monkeypatch.setattr(join_esc50.yaml, "safe_load", lambda _: plan)
    corpus, recordings = tmp_path / "corpus", tmp_path / "recordings"
    for path in (
        "cutouts/silent/sedan.png",
        "cutouts/silent/tree.png",
        "cutouts/dog/dog.png",
        "sounds/dog/dog.wav",
    ):
        (corpus / path).parent.mkdir(parents=True, exist_ok=True)
        (corpus / path).write_text(path)
    Manifest(splits={"cutouts/silent/sedan.png": ("train",), "sounds/dog/dog.wav": ("test",)}).save(corpus)
    for clip in ("dog/1-1-A.opus", "dog/5-2-A.opus", "engine/3-3-B.opus", "rain/1-4-A.opus"):
        (recordings / clip).parent.mkdir(parents=True, exist_ok=True)
        (recordings / clip).write_text(clip)
    (recordings / "sources.csv").write_text("class,clip\n")
    return corpus, recordings


def test_recordings_join_their_classes_and_the_last_fold_is_for_validation(folders, tmp_path) -> None:
    join(*folders, tmp_path / "out")
    files = {p.relative_to(tmp_path / "out").as_posix() for p in (tmp_path / "out").rglob("*.*")}
    assert files == {
        "corpus.json",
        "esc50-sources.csv",
        "cutouts/car/sedan.png",
        "cutouts/silent/tree.png",
        "cutouts/dog/dog.png",
        "sounds/dog/dog.wav",
        "sounds/dog/esc50-1-1-A.opus",
        "sounds/dog/esc50-5-2-A.opus",
        "sounds/car/esc50-3-3-B.opus",
    }
    assert Manifest.load(tmp_path / "out").splits == {
        "cutouts/car/sedan.png": ("train",),
        "sounds/dog/dog.wav": ("test",),
        "sounds/dog/esc50-1-1-A.opus": ("train",),
        "sounds/dog/esc50-5-2-A.opus": ("val",),
        "sounds/car/esc50-3-3-B.opus": ("train",),
    }


def test_folder_without_its_sources_is_refused_and_nothing_is_written(folders, tmp_path) -> None:
    (folders[1] / "sources.csv").unlink()
    with pytest.raises(UsageError, match=r"sources\.csv: no such file"):
        join(*folders, tmp_path / "out")
    assert not (tmp_path / "out").exists()
