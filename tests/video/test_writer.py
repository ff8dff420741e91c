from __future__ import annotations

from fractions import Fraction

import av
import numpy as np
import pytest

from save_avs.video import VideoWriter, probe, read_video_chunks
from tests.support.media_files import (
    AudioTrack,
    VideoTrack,
    boxes,
    ffprobe,
    gray,
    levels,
    make,
    needs_ffprobe,
    tone,
)


def write(path, times, *, size=(32, 24), fps=25.0, **more):
    with VideoWriter(path, width=size[0], height=size[1], fps=fps, **more) as writer:
        for time, level in zip(times, levels(len(times)), strict=True):
            writer.write(np.full((size[1], size[0], 3), level, np.uint8), float(time))
    return path


def read(path, **more):
    return next(iter(read_video_chunks(path, chunk=500, **more)))


def test_variable_frame_rate_is_kept(tmp_path):
    times = [0.0, 0.04, 0.3, 0.31, 1.0, 1.5, 1.52, 2.0]
    chunk = read(write(tmp_path / "v.mp4", times))
    np.testing.assert_allclose(chunk.times, times, atol=1e-5)
    np.testing.assert_allclose(chunk.frames[:, 5, 5, 1], levels(8), atol=4)


@pytest.mark.parametrize("fps", [24, 25, 29.97002997, 30, 60, 23.976023976, 7.5])
def test_frame_times_do_not_drift(tmp_path, fps):
    times = np.arange(100) / fps
    chunk = read(write(tmp_path / "v.mp4", times, fps=fps))
    np.testing.assert_allclose(chunk.times, times, atol=1.2e-5)
    assert probe(tmp_path / "v.mp4").fps == pytest.approx(fps, rel=1e-4)
    assert probe(tmp_path / "v.mp4").duration == pytest.approx(100 / fps, abs=2e-3)


@needs_ffprobe
def test_default_encoding_plays_in_browsers(tmp_path):
    path = write(tmp_path / "v.mp4", np.arange(50) / 25, audio=(tone(2, 44100, channels=2), 44100))
    streams = ffprobe(path)
    video, audio = streams["video"], streams["audio"]
    assert (video["codec_name"], video["pix_fmt"], video["profile"]) == ("h264", "yuv420p", "High")
    assert (video["color_space"], video["color_range"]) == ("bt709", "tv")
    assert video["codec_tag_string"] == "avc1"
    assert video["avg_frame_rate"] == "25/1"
    assert (audio["codec_name"], audio["profile"], audio["codec_tag_string"]) == ("aac", "LC", "mp4a")
    assert (audio["sample_rate"], audio["channels"]) == ("44100", 2)
    assert float(video["start_time"]) == float(audio["start_time"]) == 0
    assert float(video["duration"]) == pytest.approx(2, abs=0.001)
    assert float(audio["duration"]) == pytest.approx(2, abs=0.03)
    names = boxes(path)
    assert names.index("moov") < names.index("mdat")  # plays while it loads


@pytest.mark.parametrize("size", [(1, 1), (1, 2), (33, 25), (641, 361), (3, 200)])
def test_odd_sizes_are_padded_to_even(tmp_path, size):
    path = write(tmp_path / "v.mp4", [0.0, 0.04], size=size)
    info = probe(path)
    assert (info.width, info.height) == (size[0] + size[0] % 2, size[1] + size[1] % 2)
    assert np.ptp(read(path).frames[0].astype(int)) <= 2  # the padding repeats the edge


def test_video_of_one_frame_has_a_duration(tmp_path):
    path = write(tmp_path / "v.mp4", [0.0], fps=10)
    assert probe(path).duration == pytest.approx(0.1, abs=1e-3)
    assert len(read(path)) == 1


@pytest.mark.parametrize("fps", [1e-4, 0.01, 1000.0, 90000.0])
def test_extreme_frame_rates(tmp_path, fps):
    times = [0.0, 0.5, 3.0]
    np.testing.assert_allclose(read(write(tmp_path / "v.mp4", times, fps=fps)).times, times, atol=1e-5)


def test_file_name_that_looks_like_a_url(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert len(read(write("12:30.mp4", [0.0, 0.5]))) == 2


def test_sample_aspect_ratio_is_kept(tmp_path):
    path = write(tmp_path / "v.mp4", [0.0], sample_aspect_ratio=Fraction(16, 11))
    assert probe(path).sample_aspect_ratio == Fraction(16, 11)


@pytest.mark.parametrize(
    ("sample_rate", "written"),
    [(8000, 8000), (11025, 11025), (37800, 44100), (48000, 48000), (96000, 48000), (192000, 48000)],
)
def test_audio_sample_rates(tmp_path, sample_rate, written):
    source = make(tmp_path / "s.mkv", gray(50), AudioTrack([(0.5, tone(1.5, sample_rate))], sample_rate))
    path = write(tmp_path / "v.mp4", np.arange(50) / 25, audio_from=source)
    assert probe(path).sample_rate == written
    before, after = read(source, sample_rate=8000), read(path, sample_rate=8000)
    assert np.abs(after.waveform[8000:15000]).max() == pytest.approx(0.5, abs=0.05)
    np.testing.assert_allclose(loud_span(after), loud_span(before), atol=1e-3)


def loud_span(chunk) -> list[float]:
    """Times of the first and last loud sample."""
    loud = np.flatnonzero(np.abs(chunk.waveform) > 0.2)
    return [chunk.waveform_start + i / chunk.sample_rate for i in (loud[0], loud[-1])]


@pytest.mark.parametrize(
    ("layout", "channels", "written"),
    [
        ("mono", 1, "mono"),
        ("stereo", 2, "stereo"),
        ("5.1", 6, "5.1"),
        ("5.1(side)", 6, "5.1"),
        ("7.1", 8, "stereo"),
        ("2.1", 3, "stereo"),
    ],
)
def test_audio_channel_layouts(tmp_path, layout, channels, written):
    waveform = tone(1, 48000, channels=channels)
    waveform[1:] *= 0.5
    source = make(tmp_path / "s.mov", gray(25), AudioTrack([(0.0, waveform)], 48000, layout))
    path = write(tmp_path / "v.mp4", np.arange(25) / 25, audio_from=source)
    assert probe(path).audio_layout == written
    with av.open(str(path)) as container:
        heard = np.concatenate([f.to_ndarray() for f in container.decode(audio=0)], axis=1)
    left = np.abs(heard[0, 9600:38400]).max()
    assert 0.2 < left < 0.55
    if written == layout:
        np.testing.assert_allclose(
            np.abs(heard[:, 9600:38400]).max(axis=1)[:2], [0.5, 0.25][:channels], atol=0.03
        )


def test_audio_that_starts_late_has_a_gap_and_ends_after_the_video(tmp_path):
    pieces = [(1.0, tone(0.5, 16000)), (2.5, tone(2.5, 16000))]
    source = make(tmp_path / "s.mkv", gray(75), AudioTrack(pieces))
    path = write(tmp_path / "v.mp4", np.arange(75) / 25, audio_from=source)
    with av.open(str(path)) as container:
        frames = list(container.decode(audio=0))
        heard = np.concatenate([f.to_ndarray()[0] for f in frames])
        assert frames[0].time == 0
    assert len(heard) / 16000 == pytest.approx(5, abs=0.07)
    loud = [
        np.abs(heard[int(a * 16000) : int(b * 16000)]).max()
        for a, b in [(0, 0.9), (1.1, 1.4), (1.6, 2.4), (2.6, 4.9)]
    ]
    assert loud == pytest.approx([0, 0.5, 0, 0.5], abs=0.05)


@needs_ffprobe
def test_video_that_starts_after_its_audio_stays_in_sync(tmp_path):
    source = make(tmp_path / "s.mkv", gray(25, start=1.0), AudioTrack([(0.0, tone(2, 16000))]))
    times = read(source).times
    streams = ffprobe(write(tmp_path / "v.mp4", times, audio_from=source))
    assert float(streams["audio"]["start_time"]) == 0
    assert float(streams["video"]["start_time"]) == pytest.approx(1.0, abs=0.002)
    np.testing.assert_allclose(read(tmp_path / "v.mp4").times, times, atol=1e-3)


def test_audio_from_memory(tmp_path):
    waveform = tone(1, 22050)[0]
    chunk = read(write(tmp_path / "v.mp4", np.arange(25) / 25, audio=(waveform, 22050)), sample_rate=22050)
    start = round(-chunk.waveform_start * 22050)
    np.testing.assert_allclose(chunk.waveform[start + 2205 : start + 19845], waveform[2205:19845], atol=0.05)


def test_source_without_audio_gives_a_video_without_audio(tmp_path):
    source = make(tmp_path / "s.mp4", gray(5))
    assert not probe(write(tmp_path / "v.mp4", [0.0, 0.04], audio_from=source)).has_audio


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
@pytest.mark.parametrize("frames", [0, 1, 60])
def test_interrupted_writing_keeps_the_previous_file(tmp_path, error, frames):
    target = tmp_path / "v.mp4"
    target.write_bytes(b"previous")
    with pytest.raises(error), VideoWriter(target, width=32, height=24, fps=25) as writer:
        for i in range(frames):
            writer.write(np.zeros((24, 32, 3), np.uint8), i / 25)
        assert target.read_bytes() == b"previous"
        raise error
    assert target.read_bytes() == b"previous"
    assert list(tmp_path.iterdir()) == [target]


def test_video_without_frames_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="at least one frame"):
        write(tmp_path / "v.mp4", [])
    assert list(tmp_path.iterdir()) == []


def test_broken_audio_source_leaves_no_file(tmp_path):
    (tmp_path / "s.mp4").write_text("no video")
    with pytest.raises(Exception, match="cannot be read"):
        write(tmp_path / "v.mp4", [0.0], audio_from=tmp_path / "s.mp4")
    assert [p.name for p in tmp_path.iterdir()] == ["s.mp4"]


def test_wrong_arguments_are_refused(tmp_path):
    with VideoWriter(tmp_path / "v.mp4", width=4, height=2, fps=25) as writer:
        writer.write(np.zeros((2, 4, 3), np.uint8), 0.0)
        with pytest.raises(ValueError, match="increase"):
            writer.write(np.zeros((2, 4, 3), np.uint8), 0.0)
        with pytest.raises(ValueError, match="shape"):
            writer.write(np.zeros((4, 2, 3), np.uint8), 1.0)
    with pytest.raises(ValueError, match="cannot both"):
        VideoWriter(tmp_path / "w.mp4", width=4, height=2, fps=25, audio=(np.zeros(1), 8000), audio_from="x")


def test_caller_may_reuse_the_frame_array(tmp_path):
    image = np.zeros((24, 32, 3), np.uint8)
    with VideoWriter(tmp_path / "v.mp4", width=32, height=24, fps=25) as writer:
        for i, level in enumerate(levels(3)):
            image[:] = level
            writer.write(image, i / 25)
    np.testing.assert_allclose(read(tmp_path / "v.mp4").frames[:, 5, 5, 0], levels(3), atol=4)


def test_odd_size_and_uneven_times_survive_reading_and_writing(tmp_path):
    source = make(
        tmp_path / "s.mkv", VideoTrack([0.0, 0.5, 0.6], levels(3), size=(33, 25), codec="ffv1", options={})
    )
    chunk = read(source)
    path = tmp_path / "v.mp4"
    with VideoWriter(path, width=33, height=25, fps=probe(source).fps, audio_from=source) as writer:
        for frame, time in zip(chunk.frames, chunk.times, strict=True):
            writer.write(frame, float(time))
    np.testing.assert_allclose(read(path).times, [0.0, 0.5, 0.6], atol=1e-5)
