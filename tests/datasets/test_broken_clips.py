"""Whatever is wrong with a sample's files is one line that names the file."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from save_avs.datasets import open_dataset
from save_avs.errors import DataError
from save_avs.video.writer import VideoWriter
from tests.support import dataset_trees as trees


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def shaped(path: Path) -> None:
    Image.fromarray(np.ones((10, 10), np.uint8)).save(path)


def infinite(path: Path) -> None:
    samples = np.full((1, 16_000), np.inf, np.float32)
    with av.open(str(path), "w") as out:
        stream = out.add_stream("pcm_f32le", rate=16_000, layout="mono")
        frame = av.AudioFrame.from_ndarray(samples, format="flt", layout="mono")
        frame.sample_rate = 16_000
        for packet in (*stream.encode(frame), *stream.encode(None)):
            out.mux(packet)


FAULTS = {
    "missing": (Path.unlink, "missing"),
    "cut": (cut, ""),
    "empty": (lambda path: path.write_bytes(b""), ""),
    "text": (lambda path: path.write_text("not found"), ""),
    "folder": (lambda path: (path.unlink(), path.mkdir()), ""),
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize(
    ("name", "tree", "pattern"),
    [
        ("s4", trees.s4, "Single-source/s4_data/visual_frames/test/*/*/*_2.png"),
        ("s4", trees.s4, "Single-source/s4_data/gt_masks/test/*/*/*_2.png"),
        ("avss", trees.avss, "v1m/_fvpYLXtQHQ_1/frames/3.jpg"),
        ("synthetic", trees.synthetic, "images/p3.jpg"),
        ("synthetic", trees.synthetic, "masks/i4.png"),
    ],
)
def test_broken_image_or_mask_is_one_line(name, tree, pattern, fault, tmp_path):
    (path,) = tree(tmp_path).glob(pattern)
    spoil, reason = FAULTS[fault]
    spoil(path)
    with pytest.raises(DataError) as caught:
        open_dataset(name, tmp_path, "test")[0]
    message = str(caught.value)
    assert message.startswith(f"{path}: ") and message.endswith(reason) and "\n" not in message


@pytest.mark.parametrize("fault", ["missing", "empty", "text", "folder", "infinite"])
def test_broken_audio_is_one_line(fault, tmp_path):
    path = trees.avss(tmp_path) / "v1m/_fvpYLXtQHQ_1/audio.wav"
    (FAULTS | {"infinite": (infinite, "not finite")})[fault][0](path)
    clips = open_dataset("v1m", tmp_path, "test")
    for read in (clips.__getitem__, clips.waveform, clips.log_mel):
        with pytest.raises(DataError) as caught:
            read(0)
        assert str(caught.value).startswith(f"{path}: ") and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "tree", "pattern"),
    [
        ("ms3", trees.ms3, "Multi-sources/ms3_data/gt_masks/test/*/*_2.png"),
        ("v1m", trees.avss, "v1m/_fvpYLXtQHQ_1/labels_semantic/2.png"),
    ],
)
def test_annotation_of_another_aspect_ratio_is_refused(name, tree, pattern, tmp_path):
    (path,) = tree(tmp_path).glob(pattern)
    shaped(path)
    with pytest.raises(DataError, match=r"is 10 x 10, its frame 20 x 12: not the same image") as caught:
        open_dataset(name, tmp_path, "test")[0]
    assert str(caught.value).startswith(f"{path}: ")


def film(folder: Path, *, sound: bool) -> Path:
    path = folder / "a.mp4"
    waveform = np.full(16_000, 0.1, np.float32)
    with VideoWriter(path, width=20, height=12, fps=5, audio=(waveform, 16_000) if sound else None) as writer:
        for k in range(5):
            writer.write(trees.frame(40 * k), k / 5)
    trees.save(trees.mask(2, 255), folder / "a.masks/000000.png")
    return path


def test_broken_video_is_one_line(tmp_path):
    path = film(tmp_path, sound=True)
    clips = open_dataset("folder", tmp_path, "test")
    assert clips[0].frames.shape == (1, 12, 20, 3)
    path.unlink()
    with pytest.raises(DataError, match=r"a\.mp4: no such file"):
        clips[0]
    film(tmp_path, sound=False)
    with pytest.raises(DataError, match=r"a\.mp4: has no audio"):
        clips[0]
    film(tmp_path, sound=True)
    shaped(tmp_path / "a.masks/000000.png")
    with pytest.raises(DataError, match=r"000000\.png: is 10 x 10, its frame 20 x 12"):
        clips[0]
