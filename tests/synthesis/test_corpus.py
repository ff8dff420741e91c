from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from save_avs.errors import UsageError
from save_avs.synthesis.corpus import CORPUS_SPLITS, Corpus, load_cutout, prepare_sound
from tests.support.tiny_corpus import (
    BACKGROUNDS,
    HELD_TONE,
    SOUNDING,
    TONES,
    draw_shape,
    loudest_hertz,
    make_corpus,
    write_tone,
)


def looks_of(corpus: Corpus) -> set[str]:
    return {cutout.name for looks in corpus.cutouts.values() for cutout in looks}


def backgrounds_of(corpus: Corpus) -> set[str]:
    names = {color: name for name, color in BACKGROUNDS.items()}
    return {names[tuple(int(v) for v in frame[0, 0])] for frame in corpus.backgrounds}


def test_zero_shot_classes_are_in_no_other_split(corpus_root):
    for split in CORPUS_SPLITS:
        corpus = Corpus.load(corpus_root, split, promptable=True)
        assert ("ghost" in corpus.sounding) == (split == "zero-shot")
        assert ("ghost-0" in looks_of(corpus)) == (split == "zero-shot")
        assert ("ghost" in corpus.sounds) == (split == "zero-shot")
    assert Corpus.load(corpus_root, "zero-shot").sounding == ("ghost",)


def test_labels_are_the_same_in_every_split(corpus_root):
    assert {Corpus.load(corpus_root, split).names for split in CORPUS_SPLITS} == {
        tuple(sorted([*SOUNDING, "ghost"]))
    }


def test_held_out_cutouts_are_for_their_split_only(train, test):
    assert {"square-0", "square-1"} <= looks_of(train) and "square-2" not in looks_of(train)
    assert [cutout.name for cutout in test.cutouts["square"]] == ["square-2"]
    assert [cutout.held_out for cutout in test.cutouts["square"]] == [True]
    assert not any(cutout.held_out for looks in train.cutouts.values() for cutout in looks)
    assert not test.cutouts["disc"][0].held_out  # a class's only look serves every split


def test_silent_objects_are_split_too(train, test):
    assert {cutout.name for cutout in train.cutouts["silent"]} == {"tree", "cloud"}
    assert {cutout.name for cutout in test.cutouts["silent"]} == {"stone", "cloud"}
    assert train.silent == test.silent == ("silent",)


def test_promptable_cutouts_come_only_when_asked_for(corpus_root, train):
    assert "beast" not in looks_of(train)
    assert "beast" in looks_of(Corpus.load(corpus_root, "train", promptable=True))
    assert "beast" not in looks_of(Corpus.load(corpus_root, "test", promptable=True))


def test_backgrounds_of_the_test_are_unseen_in_training(corpus_root):
    assert {s: backgrounds_of(Corpus.load(corpus_root, s)) for s in CORPUS_SPLITS} == {
        "train": {"meadow"},
        "val": {"lake"},
        "test": {"city"},
        "zero-shot": {"city"},
    }


def test_end_of_a_recording_is_kept_for_testing(train, test):
    (heard,), (held,) = train.sounds["square"], test.sounds["square"]
    assert loudest_hertz(heard) == pytest.approx(TONES["square"], abs=2)
    assert loudest_hertz(held) == pytest.approx(HELD_TONE, abs=2)
    assert len(heard) == 2 * len(held)


def test_whole_recordings_can_be_kept_for_testing(train, test):
    assert [loudest_hertz(w) for w in train.sounds["bar"]] == [pytest.approx(2500, abs=2)]
    assert [loudest_hertz(w) for w in test.sounds["bar"]] == [pytest.approx(2700, abs=2)]


def test_without_a_manifest_every_file_serves_every_split(tmp_path):
    root = make_corpus(tmp_path / "corpus", manifest=False)
    train, test = Corpus.load(root, "train"), Corpus.load(root, "test")
    assert looks_of(train) == looks_of(test)
    assert "ghost" in train.sounding and train.silent == ("promptable", "silent")


def test_a_class_without_a_sound_for_a_split_does_not_sound_there(tmp_path):
    root = make_corpus(tmp_path / "corpus")
    (root / "sounds" / "bar" / "bar-1.wav").unlink()
    corpus = Corpus.load(root, "test")
    assert "bar" not in corpus.sounding and "bar" not in corpus.silent


def test_image_with_a_mask_file_is_a_cutout(tmp_path):
    frame = Image.new("RGB", (50, 40), (10, 20, 30))
    frame.save(tmp_path / "thing.jpg")
    mask = Image.new("L", (50, 40))
    mask.paste(1, (5, 8, 25, 18))  # any non-zero value is the thing
    mask.save(tmp_path / "thing.mask.png")
    rgba = load_cutout(tmp_path / "thing.jpg")
    assert rgba.shape == (10, 20, 4)
    assert (rgba[..., 3] == 255).all()


def test_a_cutout_is_cropped_to_its_outline_and_kept_small(tmp_path):
    canvas = Image.new("RGBA", (1000, 900))
    canvas.paste(draw_shape("rectangle", (1, 2, 3), side=600), (100, 200))
    canvas.save(tmp_path / "big.png")
    rgba = load_cutout(tmp_path / "big.png")
    assert rgba.shape == (288, 288, 4)
    assert (rgba[..., 3] > 250).all()


def test_sounds_lose_pauses_and_are_normalized():
    tone = 0.02 * np.sin(2 * np.pi * 440 * np.arange(16_000) / 16_000)
    waveform = np.concatenate([tone, np.zeros(32_000), tone]).astype(np.float32)
    prepared = prepare_sound(waveform)
    assert len(tone) * 2 <= len(prepared) <= len(tone) * 2 + 5 * 2 * 320
    assert np.sqrt((prepared**2).mean()) == pytest.approx(0.1, rel=1e-3)


def test_a_very_short_sound_is_kept():
    waveform = np.full(800, 0.5, np.float32)
    assert len(prepare_sound(waveform)) == 640  # whole steps of 20 ms


@pytest.mark.parametrize("waveform", [np.zeros(16_000, np.float32), np.ones(100, np.float32)])
def test_silent_sound_is_refused(waveform):
    with pytest.raises(ValueError, match="silent, or shorter"):
        prepare_sound(waveform)


def test_a_silent_file_is_named(tmp_path):
    root = make_corpus(tmp_path / "corpus")
    write_tone(root / "sounds" / "disc" / "disc.wav", [(1.0, 440.0)], level=0.0)
    with pytest.raises(UsageError, match=r"disc\.wav: silent, or shorter than 20 ms"):
        Corpus.load(root, "train")


def test_an_invisible_cutout_is_named(tmp_path):
    root = make_corpus(tmp_path / "corpus")
    Image.new("RGBA", (20, 20)).save(root / "cutouts" / "disc" / "disc-0.png")
    with pytest.raises(UsageError, match=r"disc-0\.png: not a cutout, no pixel is opaque"):
        Corpus.load(root, "train")


def test_a_folder_that_is_no_corpus(tmp_path):
    with pytest.raises(UsageError, match="no cutouts/ folder"):
        Corpus.load(tmp_path, "train")


def test_a_split_with_nothing_in_it(tmp_path):
    root = make_corpus(tmp_path / "corpus")
    (root / "backgrounds" / "lake.png").unlink()
    with pytest.raises(UsageError, match="no background for the split 'val'"):
        Corpus.load(root, "val")


def test_other_files_in_corpus_folders_are_ignored(tmp_path):
    root = make_corpus(tmp_path / "corpus")
    for folder in ("backgrounds", "cutouts/disc"):
        (root / folder / "README.txt").write_text("not an image")
    (root / "sounds" / "disc" / ".hidden").write_text("not a sound")
    Corpus.load(root, "train")


@pytest.mark.parametrize(
    ("manifest", "message"),
    [
        ("{", "corpus.json: Invalid JSON"),
        (
            json.dumps({"splits": {"a.png": ["trian"]}}),
            "corpus.json: splits.a.png.0: Input should be 'train'",
        ),
        (
            json.dumps({"test_from_s": {"a.wav": "late"}}),
            "corpus.json: test_from_s.a.wav: Input should be a valid number",
        ),
    ],
)
def test_a_broken_manifest_is_one_line(tmp_path: Path, manifest: str, message: str):
    root = make_corpus(tmp_path / "corpus")
    (root / "corpus.json").write_text(manifest)
    with pytest.raises(UsageError) as caught:
        Corpus.load(root, "train")
    assert message in str(caught.value) and "\n" not in str(caught.value)
