from __future__ import annotations

import numpy as np
import pytest

from save_avs._extras import models_folder
from save_avs.synthesis.corpus import CORPUS_SPLITS, Corpus, Manifest, find_corpus, sounding_classes
from save_avs.video import probe
from save_avs.video.audio_reader import load_audio

BUNDLED = models_folder()


@pytest.mark.parametrize("split", CORPUS_SPLITS)
def test_the_bundled_corpus_serves_every_split(split):
    corpus = Corpus.load("sample", split)
    assert corpus.sounding == sounding_classes("sample", split)
    assert len(corpus.sounding) == (1 if split == "zero-shot" else 8)
    assert corpus.silent == ("silent",) and len(corpus.cutouts["silent"]) == 3


def test_bundled_manifest_names_existing_files():
    root = find_corpus("sample")
    manifest = Manifest.load(root)
    assert all((root / name).is_file() for name in [*manifest.splits, *manifest.test_from_s])


def test_every_kind_of_bundled_file_has_a_license():
    text = (BUNDLED / "scenes" / "LICENCE.md").read_text(encoding="utf-8")
    for photograph in (BUNDLED / "scenes" / "backgrounds").iterdir():
        assert f"backgrounds/{photograph.name}" in text
    assert "GNU GENERAL PUBLIC LICENSE" in (BUNDLED / "scenes" / "GPL-2.txt").read_text()
    assert "sample.mp4" in text and "tuxpaint-stamps-default" in text and "fluid-soundfont-gm" in text


def test_bundled_corpus_is_small():
    files = [p for p in (BUNDLED / "scenes").rglob("*") if p.is_file()]
    assert sum(p.stat().st_size for p in files) < 2.3e6
    assert (BUNDLED / "sample.mp4").stat().st_size < 0.7e6


def test_sample_clip_alternates_sources_and_ends_silent():
    info = probe(BUNDLED / "sample.mp4")
    assert (info.width, info.height) == (640, 360)
    waveform = load_audio(BUNDLED / "sample.mp4", sample_rate=16_000)
    assert len(waveform) / 16_000 == pytest.approx(8.0, abs=0.1)

    def level(start: float, stop: float) -> float:
        return float(np.sqrt((waveform[int(start * 16_000) : int(stop * 16_000)] ** 2).mean()))

    assert min(level(0.7, 2.5), level(3.1, 4.9), level(5.5, 7.1)) > 0.05
    assert max(level(0.1, 0.5), level(2.7, 2.9), level(7.4, 7.9)) < 0.01
