"""A range of a video: the same frames, numbers and sound as in the whole, without decoding what is before."""

from __future__ import annotations

import numpy as np
import pytest

from save_avs.errors import UsageError
from save_avs.video import frame_decoder, read_video_chunks
from tests.support.media_files import AudioTrack, VideoTrack, ffmpeg, gray, make, needs_ffmpeg, tone

GOP = 12
X264 = ["-c:v", "libx264", "-g", str(GOP), "-bf", "3", "-threads", "1"]
FILES = {
    "h264.mp4": X264,
    "h264-open.mkv": [*X264, "-x264-params", "open-gop=1:keyint=12:scenecut=0"],
    "h264.ts": X264,
    "h264.mov": [*X264, "-bf", "0"],
    "hevc.mp4": ["-c:v", "libx265", "-x265-params", "keyint=12:log-level=none:pools=1"],
    "vp9.webm": ["-c:v", "libvpx-vp9", "-g", "12", "-deadline", "realtime", "-cpu-used", "8"],
    "mpeg2.ts": ["-c:v", "mpeg2video", "-g", "12", "-bf", "2"],
    "mjpeg.mov": ["-c:v", "mjpeg"],
}
DECODED_FROM_THE_START = {
    "refresh.mp4": [*X264, "-bf", "0", "-x264-params", "intra-refresh=1:keyint=12"],
    "vp8.webm": ["-c:v", "libvpx", "-g", "12", "-auto-alt-ref", "1", "-lag-in-frames", "8"],
    "h264.avi": X264,
    "mpeg4.mp4": ["-c:v", "mpeg4", "-g", "12", "-bf", "2"],
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("ranges")


def encoded(folder, name):
    path = folder / name
    if not path.exists():
        source = [
            "-f",
            "lavfi",
            "-i",
            "testsrc2=s=64x48:r=25:d=4",
            "-f",
            "lavfi",
            "-i",
            "anoisesrc=d=4:r=48000,lowpass=f=500",
        ]
        options = FILES.get(name) or DECODED_FROM_THE_START[name]
        ffmpeg(*source, *options, "-pix_fmt", "yuvj420p" if "mjpeg" in name else "yuv420p", "-ac", "1", path)
    return path


def read(path, **options):
    chunks = list(read_video_chunks(path, **options))
    frames, times, indices = (
        np.concatenate([getattr(chunk, name) for chunk in chunks])
        for name in ("frames", "times", "source_indices")
    )
    return frames, times, indices, chunks


def audio_at(chunks, start: float, end: float) -> np.ndarray:
    rate = chunks[0].sample_rate
    waveform = np.zeros(10 * rate, np.float32)
    for chunk in chunks:
        first = round(chunk.waveform_start * rate)
        skip = max(0, -first)
        waveform[first + skip : first + len(chunk.waveform)] = chunk.waveform[skip:]
    return waveform[round(start * rate) : round(end * rate)]


@needs_ffmpeg
@pytest.mark.parametrize("name", [*FILES, *DECODED_FROM_THE_START])
def test_range_is_that_part_of_the_whole(folder, name):
    path = encoded(folder, name)
    frames, times, indices, chunks = read(path)
    assert len(frames) == 100 and indices.tolist() == list(range(100))
    for start, end in [(0.5, 1.0), (1.3, None), (times[50], times[60]), (times[-1], None)]:
        inside = (times >= start) & (times < (end or np.inf))
        part, part_times, part_indices, part_chunks = read(path, start=start, end=end)
        np.testing.assert_array_equal(part_indices, indices[inside])
        np.testing.assert_array_equal(part_times, times[inside])
        np.testing.assert_array_equal(part, frames[inside])
        low, high = max(0, part_times[0] - 0.48), part_times[-1] + 0.4
        # The ticks of Matroska are a millisecond: from another packet on, the sound may be that much off.
        shifts = np.arange(-0.00125, 0.00126, 1 / 16000)
        heard = audio_at(part_chunks, low, high)
        wholes = [audio_at(chunks, low + shift, high + shift)[: len(heard)] for shift in shifts]
        assert max(np.corrcoef(heard[: len(each)], each)[0, 1] for each in wholes) > 0.97


@needs_ffmpeg
@pytest.mark.parametrize("name", [name for name in FILES if name != "mjpeg.mov"])
def test_frames_before_the_range_are_not_decoded(folder, name, monkeypatch):
    decoded = []

    def counted(frames, *rest):
        return original((decoded.append(frame) or frame for frame in frames), *rest)

    original = frame_decoder.best_effort_times
    monkeypatch.setattr(frame_decoder, "best_effort_times", counted)
    read(encoded(folder, name), start=3.3, end=3.5)
    assert 5 <= len(decoded) <= 5 + 2 * GOP + 8  # from an earlier keyframe on; 8 decide how times are read


@needs_ffmpeg
def test_joined_transport_stream_is_numbered_on(folder, tmp_path):
    part = encoded(folder, "h264.ts").read_bytes()
    (tmp_path / "twice.ts").write_bytes(part + part)
    frames, times, indices, _ = read(tmp_path / "twice.ts")
    assert len(frames) == 200
    part, part_times, part_indices, _ = read(tmp_path / "twice.ts", start=times[150])
    np.testing.assert_array_equal(part_indices, indices[150:])
    np.testing.assert_array_equal(part_times, times[150:])
    np.testing.assert_array_equal(part, frames[150:])


def test_clock_is_that_of_the_file_that_starts_late(tmp_path):
    path = make(tmp_path / "v.mkv", gray(50, start=7), AudioTrack([(6.5, tone(3, 16000))]))
    frames, times, indices, _ = read(path)
    assert times[0] == pytest.approx(0.5)
    part, part_times, part_indices, _ = read(path, start=1.0, end=1.5)
    inside = (times >= 1.0) & (times < 1.5)
    np.testing.assert_array_equal(part_times, times[inside])
    np.testing.assert_array_equal(part_indices, indices[inside])
    np.testing.assert_array_equal(part, frames[inside])


def test_held_image_is_read_again_within_the_range(tmp_path):
    slides = VideoTrack([0.0, 8.0], [60, 200])
    path = make(tmp_path / "v.mkv", slides, AudioTrack([(0.0, tone(9, 16000))]))
    _, times, indices, _ = read(path, start=3.0, end=8.5)
    np.testing.assert_allclose(times, [3.84, 4.8, 5.76, 6.72, 8.0], atol=0.01)
    assert indices.tolist() == [0, 0, 0, 0, 1]


@pytest.mark.parametrize(
    ("start", "end", "times", "indices"),
    [
        (0.5, 2.0, [0.52, 1.02, 1.52], [13, 25, 38]),  # from the first frame of the range on
        (0.52, 1.53, [0.52, 1.02, 1.52], [13, 25, 38]),
        (1.96, None, [1.96], [49]),
    ],
)
def test_requested_rate_starts_with_the_range(tmp_path, start, end, times, indices):
    path = make(tmp_path / "v.mp4", gray(50), AudioTrack([(0.0, tone(2, 16000))], codec="aac", format="fltp"))
    _, found, numbers, _ = read(path, fps=2, start=start, end=end)
    np.testing.assert_allclose(found, times, atol=1e-6)
    assert all(abs(a - b) <= 1 for a, b in zip(numbers.tolist(), indices, strict=True))
    assert numbers[0] == indices[0]


def test_requested_rate_within_a_held_image(tmp_path):
    path = make(tmp_path / "v.mkv", VideoTrack([0.0, 8.0], [60, 200]), AudioTrack([(0.0, tone(9, 16000))]))
    _, times, indices, _ = read(path, fps=1, start=3.0, end=6.0)
    assert times.tolist() == [3.0, 4.0, 5.0] and indices.tolist() == [0, 0, 0]


@pytest.mark.parametrize("fps", [None, 5])
def test_range_after_the_end_has_no_frames(tmp_path, fps):
    path = make(tmp_path / "v.mp4", gray(10))
    assert list(read_video_chunks(path, start=1.0, fps=fps)) == []


@pytest.mark.parametrize(
    ("start", "end"), [(-1, None), (1, 1), (2, 1), (float("nan"), None), (0, float("inf"))]
)
def test_wrong_range_is_refused(tmp_path, start, end):
    with pytest.raises(UsageError, match=r"start|end"):
        read_video_chunks(make(tmp_path / "v.mp4", gray(10)), start=start, end=end)
