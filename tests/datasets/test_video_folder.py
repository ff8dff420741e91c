"""Folders of films with masks."""

from __future__ import annotations

import json

import numpy as np
import pytest

from save_avs.audio.log_mel import log_mel_at
from save_avs.datasets import open_dataset
from save_avs.errors import DataError, UsageError
from save_avs.synthesis.corpus import Corpus
from save_avs.synthesis.video_export import write_scene_videos
from save_avs.video import VideoWriter
from save_avs.video.audio_reader import load_audio


@pytest.fixture
def root(tmp_path):
    return write_scene_videos(
        Corpus.load("sample", "test"),
        tmp_path / "videos",
        count=2,
        seconds=2.5,
        size=(48, 64),
        fps=8,
        masks=True,
    )


def test_composed_videos_can_be_read(root):
    clips = open_dataset("folder", root, "test")
    sample = clips[0]
    assert len(clips) == 2 and sample.frames.shape == (3, 48, 64, 3)  # one frame a second
    assert sample.has_mask.all() and sample.valid.all()
    described = json.loads((root / "scenes.json").read_text())
    seen = {v["class"] for v in described[0]["audio_sources"] if v["in_view"]}
    assert clips.metadata(0).categories == tuple(sorted(seen))
    assert clips.num_annotated(0) is None  # only decoding would tell


def test_masks_belong_to_frames_by_number(root):
    from PIL import Image

    sample = open_dataset("folder", root, "test")[1]
    for k, number in enumerate((0, 8, 16)):
        with Image.open(root / f"scene-0001.masks/{number:06d}.png") as image:
            assert np.array_equal(sample.masks[k], np.asarray(image))


def test_audio_is_paired_by_time(root):
    sample = open_dataset("folder", root, "test")[0]
    waveform = load_audio(root / "scene-0000.mp4", sample_rate=16_000)
    expected = log_mel_at(waveform, 16_000, [0.0, 1.0, 2.0])
    assert np.abs(sample.log_mel - expected).mean() < 0.05


def test_pairing_follows_timestamps_where_frames_are_uneven(tmp_path):
    times = [0.0, 0.1, 0.35, 1.3, 2.9]
    waveform = np.zeros(48_000, np.float32)
    waveform[40_000:] = 0.3 * np.sin(np.arange(8_000))  # from 2.5 s on
    with VideoWriter(tmp_path / "film.mp4", width=32, height=32, fps=10, audio=(waveform, 16_000)) as writer:
        for k, time in enumerate(times):
            writer.write(np.full((32, 32, 3), 40 * k, np.uint8), time)
    for k in (1, 3, 4):
        _mask(tmp_path, k)
    sample = open_dataset("folder", tmp_path, "test")[0]
    assert np.allclose(sample.frames.mean(axis=(1, 2, 3)), [40, 120, 160], atol=4)
    assert [bool(patch.max() > 0) for patch in sample.log_mel] == [False, False, True]


def _mask(root, number: int) -> None:
    from PIL import Image

    (root / "film.masks").mkdir(exist_ok=True)
    Image.new("1", (32, 32), 1).save(root / f"film.masks/{number:06d}.png")


def test_split_folders_hold_splits(root, tmp_path):
    (tmp_path / "sets").mkdir()
    root.rename(tmp_path / "sets" / "val")
    assert len(open_dataset("folder", tmp_path / "sets", "val")) == 2
    assert len(open_dataset("folder", tmp_path / "sets", "train")) == 0


def test_without_split_folders_all_is_test(root):
    with pytest.raises(UsageError, match="all of it is 'test', not 'train'"):
        open_dataset("folder", root, "train")


def test_folder_without_masks_is_refused(root):
    for masks in root.glob("*.masks"):
        masks.rename(masks.with_suffix(".aside"))
    with pytest.raises(UsageError, match=r"expected NAME\.mp4 next to NAME\.masks/000000\.png"):
        open_dataset("folder", root, "test")


def test_broken_videos_and_masks_are_named(root):
    (root / "scene-0001.masks/000008.png").write_text("not an image")
    with pytest.raises(DataError, match=r"000008\.png: not an image"):
        open_dataset("folder", root, "test")[1]
    (root / "scene-0000.mp4").write_text("no film")
    with pytest.raises(DataError, match=r"scene-0000\.mp4"):
        open_dataset("folder", root, "test")[0]


def test_masks_of_missing_frames_are_an_error(root):
    for mask in (root / "scene-0000.masks").iterdir():
        mask.rename(mask.with_stem(f"9{mask.stem}"))
    with pytest.raises(DataError, match="none of its frames has a mask"):
        open_dataset("folder", root, "test")[0]
