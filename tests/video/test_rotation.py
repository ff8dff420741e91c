"""Frames are turned as their display matrix says."""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np
import pytest

from save_avs.video import probe, read_video_chunks, rgb
from tests.support.media_files import ffmpeg, gray, make, needs_ffmpeg, set_matrix


def first_frame(path) -> np.ndarray:
    return next(read_video_chunks(path)).frames[0]


@pytest.mark.parametrize(
    ("matrix", "turn"),
    [
        ((0, 1, -1, 0), lambda a: np.rot90(a, -1)),
        ((-1, 0, 0, -1), lambda a: np.rot90(a, 2)),
        ((0, -1, 1, 0), lambda a: np.rot90(a, 1)),
        ((-1, 0, 0, 1), lambda a: a[:, ::-1]),
        ((1, 0, 0, -1), lambda a: a[::-1]),
    ],
)
def test_display_matrix(tmp_path, matrix, turn):
    coded = np.zeros((24, 32, 3), np.uint8)
    coded[:12, :16], coded[:12, 16:], coded[12:, :16], coded[12:, 16:] = 40, 90, 150, 210
    path = make(tmp_path / "v.mp4", gray(1))
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"crf": "5"})
        stream.width, stream.height, stream.pix_fmt = 32, 24, "yuv420p"
        for frame in [av.VideoFrame.from_ndarray(coded), av.VideoFrame.from_ndarray(coded), None]:
            container.mux(stream.encode(frame))
    set_matrix(path, matrix)
    expected = turn(coded)
    info = probe(path)
    assert (info.height, info.width) == expected.shape[:2]
    np.testing.assert_allclose(first_frame(path).astype(int), expected, atol=8)


@needs_ffmpeg
@pytest.mark.parametrize(
    "matrix", [(0, 1, -1, 0), (0, -1, 1, 0), (0, 1, 1, 0), (0, -1, -1, 0), (-1, 0, 0, 1)]
)
def test_display_matrix_agrees_with_ffmpeg(tmp_path, matrix):
    ffmpeg("-f", "lavfi", "-i", "testsrc=s=64x48:r=5:d=0.4", "-pix_fmt", "yuv420p", tmp_path / "v.mp4")
    path = set_matrix(tmp_path / "v.mp4", matrix)
    ffmpeg("-i", path, "-frames:v", "1", tmp_path / "shown.png")
    np.testing.assert_allclose(first_frame(path).astype(int), first_frame(tmp_path / "shown.png"), atol=10)


def test_sample_aspect_ratio_follows_the_rotation(tmp_path):
    path = tmp_path / "v.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 32, 24, "yuv420p"
        stream.codec_context.sample_aspect_ratio = Fraction(16, 11)
        for frame in [av.VideoFrame(32, 24, "yuv420p"), None]:
            container.mux(stream.encode(frame))
    assert str(probe(path).sample_aspect_ratio) == "16/11"
    assert str(probe(set_matrix(path, (0, 1, -1, 0))).sample_aspect_ratio) == "11/16"


@pytest.mark.parametrize("matrix", [(0, 1, -1, 0), (-1, 0, 0, -1), (0, -1, 1, 0), (1, 0, 0, 1)])
def test_orientation_next_to_unknown_side_data(tmp_path, matrix, monkeypatch):
    path = set_matrix(make(tmp_path / "v.mp4", gray(2)), matrix)

    def unknown(frame):
        raise ValueError("31 is not a valid Type")

    def turn():
        with av.open(str(path)) as container:
            return rgb.orientation_of(next(container.decode(video=0)))

    plain = turn()
    monkeypatch.setattr(rgb, "SideDataContainer", unknown)
    assert turn() == plain
