"""Frames that stay: they still hear the sound, and a gap in time costs no endless work."""

from __future__ import annotations

import time

import av
import numpy as np
import pytest

from save_avs.inference.pipeline import segment
from save_avs.video import read_video_chunks
from tests.support.media_files import AudioTrack, VideoTrack, gray, levels, make, tone
from tests.support.sample_videos import BrightWhereLoud, make_video


def read(path, **options):
    warnings: list[str] = []
    chunks = list(read_video_chunks(path, on_warning=warnings.append, **options))
    times = np.concatenate([chunk.times for chunk in chunks])
    return times, np.concatenate([chunk.source_indices for chunk in chunks]), warnings


def test_held_image_is_read_again_at_the_hop_of_the_sound(tmp_path):
    shown = [0.0, 4.0, 5.3, 6.0]  # 4 s, 1.3 s, 0.7 s; the last for as long as the one before
    path = make(tmp_path / "v.mkv", VideoTrack(shown, levels(4)), AudioTrack([(0, tone(3.0, 16000))]))
    times, indices, _ = read(path)
    np.testing.assert_allclose(times, [0, 0.96, 1.92, 2.88, 4.0, 5.3, 6.0], atol=2e-3)  # sound ends at 3 s
    assert indices.tolist() == [0, 0, 0, 0, 1, 2, 3]


def test_held_image_without_sound_is_read_once(tmp_path):
    path = make(tmp_path / "v.mkv", VideoTrack([0.0, 4.0, 5.3], levels(3)))
    assert read(path)[1].tolist() == [0, 1, 2]


def test_one_second_per_frame_is_read_once(tmp_path):
    path = make(tmp_path / "v.mkv", gray(8, fps=1), AudioTrack([(0, tone(8, 16000))]))
    assert read(path)[1].tolist() == list(range(8))


def test_masks_and_overlay_of_one_image_follow_the_sound(tmp_path):
    video = VideoTrack([0.0, 7.9], [200, 200], size=(96, 64))
    sound = np.concatenate([tone(4, 16000), 0 * tone(4, 16000)], axis=1)
    path = make(tmp_path / "v.mkv", video, AudioTrack([(0, sound)]))
    result = segment(path, model=BrightWhereLoud(), directory=tmp_path / "out")
    heard = [(frame.time < 4.4, bool(frame.mask.any())) for frame in result]
    assert len(heard) >= 8 and all(loud == marked for loud, marked in heard)
    with av.open(str(tmp_path / "out" / "overlay.mp4")) as container:
        colors = [
            np.ptp(f.to_ndarray(format="rgb24").astype(int), axis=2).mean() for f in container.decode(video=0)
        ]
    assert [color > 30 for color in colors] == [marked for _, marked in heard]


@pytest.mark.parametrize("frames", [3, 4])
def test_gap_of_a_billion_seconds_ends_at_once(tmp_path, frames):
    path = make(tmp_path / "v.mkv", VideoTrack([0.0, 0.04, 1e9, 1e9 + 0.04][:frames], levels(frames)))
    start = time.perf_counter()
    times, indices, warnings = read(path, fps=5)
    assert time.perf_counter() - start < 20
    assert indices[0] == 0 and indices[-1] >= 2
    assert len(times) < 700 and times[-1] == pytest.approx(1e9, abs=61)
    assert len([w for w in warnings if "very long" in w]) == 1


def test_long_slide_with_sound_is_held(tmp_path):
    path = make(
        tmp_path / "v.mkv", VideoTrack([0.0, 90.0], levels(2)), AudioTrack([(0, tone(90, 8000))], 8000)
    )
    times, _, warnings = read(path, fps=1)
    np.testing.assert_allclose(times[:90], np.arange(90))
    assert warnings == []


@pytest.mark.parametrize("fps", [1, 4, 25])
def test_overlay_at_a_rate_has_every_frame_of_the_source(tmp_path, fps):
    path = make_video(tmp_path / "v.mp4")
    result = segment(path, model=BrightWhereLoud(), fps=fps, outputs=("overlay",), directory=tmp_path / "out")
    with av.open(str(path)) as source, av.open(str(tmp_path / "out" / "overlay.mp4")) as overlay:
        expected = [frame.time for frame in source.decode(video=0)]
        frames = [(f.time, f.to_ndarray(format="rgb24")) for f in overlay.decode(video=0)]
    np.testing.assert_allclose([at for at, _ in frames], expected, atol=1e-3)
    marked = [bool(np.ptp(image.astype(int), axis=2).max() > 80) for _, image in frames]
    for i, at in enumerate(expected):
        shown = zip(result.video_masks.source_indices, result.times - 0.5 / fps, strict=True)
        latest = max(k for k, start in enumerate(shown) if start <= (i, at))
        assert marked[i] == bool(result[latest].mask.any())
