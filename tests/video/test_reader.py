from __future__ import annotations

import gc

import av
import numpy as np
import pytest

from save_avs.errors import UsageError
from save_avs.video import probe, read_video_chunks
from tests.support.media_files import (
    AudioTrack,
    VideoTrack,
    ffmpeg,
    gray,
    levels,
    make,
    needs_ffmpeg,
    tone,
)


def read(path, **more):
    """Everything in one piece: (times, frames, wave as {sample number: value} laid out, warnings)."""
    warnings: list[str] = []
    chunks = list(read_video_chunks(path, on_warning=warnings.append, **more))
    times = np.concatenate([c.times for c in chunks])
    frames = np.concatenate([c.frames for c in chunks])
    assert [c.first_index for c in chunks] == list(np.cumsum([0] + [len(c) for c in chunks[:-1]]))
    return times, frames, chunks, warnings


def audio_at(chunks, start: float, end: float) -> np.ndarray:
    """The audio between two times, from the chunk that contains it."""
    for chunk in chunks:
        first = round((start - chunk.waveform_start) * chunk.sample_rate)
        last = round((end - chunk.waveform_start) * chunk.sample_rate)
        if first >= 0 and last <= len(chunk.waveform):
            return chunk.waveform[first:last]
    raise AssertionError(f"no chunk contains {start}..{end}")


def onset(chunk) -> float:
    """Time of the first loud sample."""
    return chunk.waveform_start + int(np.argmax(np.abs(chunk.waveform) > 0.2)) / chunk.sample_rate


def hertz(waveform: np.ndarray, sample_rate: int) -> float:
    spectrum = np.abs(np.fft.rfft(waveform * np.hanning(len(waveform))))
    return float(np.argmax(spectrum)) * sample_rate / len(waveform)


VARIABLE = [0.0, 0.04, 0.3, 0.31, 1.0, 1.5, 1.52, 2.0]


@pytest.mark.parametrize("name", ["v.mp4", "v.mkv", "v.mov"])
def test_variable_frame_rate_keeps_frame_times(tmp_path, name):
    path = make(tmp_path / name, VideoTrack(VARIABLE, levels(8)))
    times, frames, _, warnings = read(path, chunk=3)
    np.testing.assert_allclose(times, VARIABLE, atol=1e-3)
    np.testing.assert_allclose(frames[:, 5, 5, 0], levels(8), atol=3)
    assert warnings == [f"{path}: has no sound"]


def test_fps_picks_the_nearest_frame_on_an_even_grid(tmp_path):
    path = make(tmp_path / "v.mp4", VideoTrack(VARIABLE, levels(8)))
    times, frames, _, _ = read(path, fps=5)
    np.testing.assert_allclose(times, np.arange(11) * 0.2, atol=1e-9)
    nearest = [int(np.argmin(np.abs(np.array(VARIABLE) - t))) for t in times]
    np.testing.assert_allclose(frames[:, 5, 5, 0], np.array(levels(8))[nearest], atol=3)


@pytest.mark.parametrize(("fps", "count"), [(1, 2), (10, 20), (25, 50), (50, 100), (12.5, 25)])
def test_fps_covers_the_video_exactly(tmp_path, fps, count):
    path = make(tmp_path / "v.mp4", gray(50))
    times, _, _, _ = read(path, fps=fps)
    np.testing.assert_allclose(times, np.arange(count) / fps, atol=1e-9)


@pytest.mark.parametrize("fps", [0, -1, 1e9, float("nan"), float("inf")])
def test_fps_out_of_range_is_refused(tmp_path, fps):
    path = make(tmp_path / "v.mp4", gray(2))
    with pytest.raises(UsageError, match="fps must be above 0"):
        read_video_chunks(path, fps=fps)


@pytest.mark.parametrize("name", ["v.ts", "v.mkv", "v.nut"])
@pytest.mark.parametrize("start", [0.0, 7.0])
def test_clock_starts_at_the_first_timestamp(tmp_path, name, start):
    audio = AudioTrack([(start + 0.5, tone(1, 48000, channels=2))], 48000, "stereo", "mp2")
    path = make(tmp_path / name, gray(50, start=start), audio)
    times, _, chunks, _ = read(path, chunk=60)
    assert times[0] == pytest.approx(0, abs=0.02)  # the delay of the mp2 encoder may start before the video
    np.testing.assert_allclose(np.diff(times), 0.04, atol=1.1e-3)
    assert onset(chunks[0]) - times[0] == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize("parts", [2, 3])
def test_joined_broadcast_streams_stay_in_sync(tmp_path, parts):
    waveform = np.zeros((2, 96000), np.float32)
    waveform[:, 48000:52800] = tone(0.1, 48000, channels=2)
    video = gray(50, start=1.4, options={"preset": "ultrafast", "bf": "2", "threads": "1"})
    video.levels = [200 if i == 25 else 40 for i in range(50)]
    path = make(tmp_path / "v.ts", video, AudioTrack([(1.4, waveform)], 48000, "stereo", "mp2"))
    path.write_bytes(path.read_bytes() * parts)
    times, frames, chunks, warnings = read(path, chunk=500)
    assert len(times) == 50 * parts
    flashes = times[frames[:, 5, 5, 0] > 120]
    loud = chunks[0].waveform_start + np.flatnonzero(np.abs(chunks[0].waveform) > 0.2) / 16000
    clicks = loud[np.diff(loud, prepend=-1) > 0.5]
    assert len(clicks) == len(flashes) == parts
    np.testing.assert_allclose(clicks, flashes, atol=0.02)
    np.testing.assert_allclose(np.diff(flashes), 2.0, atol=0.2)
    assert warnings == []


def test_clock_starts_at_negative_timestamps(tmp_path):
    path = make(tmp_path / "v.nut", gray(25, start=-0.4), AudioTrack([(-0.2, tone(0.8, 16000))]))
    times, _, chunks, _ = read(path, chunk=30)
    np.testing.assert_allclose(times, np.arange(25) * 0.04, atol=1e-3)
    assert onset(chunks[0]) == pytest.approx(0.2, abs=0.003)


def test_video_that_starts_after_its_audio(tmp_path):
    path = make(tmp_path / "v.mkv", gray(10, start=2.0), AudioTrack([(0.5, tone(3, 16000))]))
    times, _, chunks, _ = read(path)
    np.testing.assert_allclose(times, 1.5 + np.arange(10) * 0.04, atol=2e-3)
    assert np.abs(audio_at(chunks, 1.2, 1.9)).max() == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize("sample_rate", [16000, 44100])
def test_audio_that_starts_late_has_a_gap_and_ends_early(tmp_path, sample_rate):
    pieces = [(1.0, tone(0.5, sample_rate)), (2.5, tone(0.5, sample_rate, hz=880))]
    path = make(tmp_path / "v.mkv", gray(100), AudioTrack(pieces, sample_rate))
    _, _, chunks, warnings = read(path, chunk=200)
    for start, end in [(-0.5, 0.99), (1.52, 2.49), (3.02, 4.4)]:
        assert np.abs(audio_at(chunks, start, end)).max() < 1e-3, (start, end)
    assert hertz(audio_at(chunks, 1.05, 1.45), 16000) == pytest.approx(440, abs=5)
    assert hertz(audio_at(chunks, 2.55, 2.95), 16000) == pytest.approx(880, abs=5)
    loud = chunks[0].waveform_start + np.flatnonzero(np.abs(chunks[0].waveform) > 0.2) / 16000
    assert [loud[0], loud[loud < 2][-1], loud[loud > 2][0], loud[-1]] == pytest.approx(
        [1, 1.5, 2.5, 3], abs=3e-3
    )
    assert warnings == []


def test_overlapping_audio_does_not_shift_later_audio(tmp_path):
    quiet = np.zeros((1, 16000), np.float32)
    path = make(
        tmp_path / "v.nut", gray(75), AudioTrack([(0.0, quiet), (0.5, quiet), (1.5, tone(0.5, 16000))])
    )
    assert onset(read(path, chunk=100)[2][0]) == pytest.approx(1.5, abs=0.003)


@pytest.mark.parametrize("sample_rate", [8000, 11025, 22050, 44100, 48000, 96000, 192000])
def test_sample_rates(tmp_path, sample_rate):
    path = make(tmp_path / "v.mkv", gray(50), AudioTrack([(0.5, tone(1.5, sample_rate))], sample_rate))
    assert probe(path).sample_rate == sample_rate
    _, _, chunks, _ = read(path, chunk=60)
    assert onset(chunks[0]) == pytest.approx(0.5, abs=0.003)
    audio = audio_at(chunks, 0.6, 1.9)
    assert hertz(audio, 16000) == pytest.approx(440, abs=1)
    assert np.abs(audio).max() == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize(
    ("layout", "channels", "loud", "level"),
    [
        ("mono", 1, 0, 0.5),
        ("stereo", 2, 0, 0.25),
        ("stereo", 2, None, 0.5),
        ("2.1", 3, 2, 0.5 / 3),
        ("quad", 4, None, 0.5),
        ("5.1", 6, None, 0.5),
        ("5.1", 6, 3, 0.5 / 6),  # the low-frequency channel alone
        ("5.1(side)", 6, 2, 0.5 / 6),  # the center alone
        ("7.1", 8, None, 0.5),
    ],
)
def test_channel_layouts_are_mixed_to_mono_without_gain(tmp_path, layout, channels, loud, level):
    waveform = tone(1, 48000, channels=channels)
    for channel in range(channels):
        if loud is not None and channel != loud:
            waveform[channel] = 0
    path = make(tmp_path / "v.mov", gray(25), AudioTrack([(0.0, waveform)], 48000, layout))
    assert probe(path).audio_layout == layout
    _, _, chunks, _ = read(path, chunk=30)
    assert np.abs(audio_at(chunks, 0.2, 0.8)).max() == pytest.approx(level, abs=0.01)


@pytest.mark.parametrize("codec", ["pcm_u8", "pcm_s16le", "pcm_s24le", "pcm_s32le", "pcm_f32le", "pcm_f64le"])
def test_sample_formats_have_the_same_level(tmp_path, codec):
    audio = AudioTrack([(0.0, tone(1, 16000))], codec=codec)
    audio.format = {"pcm_u8": "u8", "pcm_s24le": "s32", "pcm_s32le": "s32"}.get(codec, "s16")
    if codec.startswith("pcm_f"):
        audio.format = "flt" if codec == "pcm_f32le" else "dbl"
    path = make(tmp_path / "v.mkv", gray(25), audio)
    _, _, chunks, _ = read(path, chunk=30)
    audio = audio_at(chunks, 0.2, 0.8)
    assert np.abs(audio).max() == pytest.approx(0.5, abs=0.01)
    assert abs(audio.mean()) < 0.01


def test_audio_is_the_same_for_any_chunk_size(tmp_path):
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, (1, 88200)).astype(np.float32)
    path = make(tmp_path / "v.mkv", gray(50), AudioTrack([(0.0, noise)], 44100))
    whole = next(iter(read_video_chunks(path, chunk=100)))
    for chunk in read_video_chunks(path, chunk=7, audio_margin=0.25):
        assert chunk.waveform_start <= chunk.times[0] - 0.25 + 1e-9
        assert (
            chunk.waveform_start + (len(chunk.waveform) - 1) / chunk.sample_rate
            >= chunk.times[-1] + 0.25 - 1e-9
        )
        first = round((chunk.waveform_start - whole.waveform_start) * 16000)
        np.testing.assert_array_equal(chunk.waveform, whole.waveform[first : first + len(chunk.waveform)])


@pytest.mark.parametrize("size", [(33, 25), (1, 1), (1, 7), (2, 2), (127, 1)])
def test_odd_frame_sizes(tmp_path, size):
    path = make(tmp_path / "v.nut", gray(3, size=size, codec="rawvideo", options={}))
    _, frames, _, _ = read(path)
    assert frames.shape == (3, size[1], size[0], 3)
    np.testing.assert_allclose(frames[:, 0, 0, 0], levels(3), atol=3)


@pytest.mark.parametrize("pix_fmt", ["yuv420p10le", "yuv444p10le", "yuv422p12le", "gray", "bgra"])
def test_pixel_formats(tmp_path, pix_fmt):
    path = make(tmp_path / "v.mkv", gray(3, codec="ffv1", pix_fmt=pix_fmt, options={}))
    np.testing.assert_allclose(read(path)[1][:, 3, 3], np.array(levels(3))[:, None].repeat(3, 1), atol=3)


def test_colors_follow_the_matrix_the_file_names(tmp_path):
    from save_avs.video import VideoWriter

    image = np.zeros((32, 48, 3), np.uint8)
    image[:, :16], image[:, 16:32], image[:, 32:] = (200, 30, 30), (30, 180, 40), (40, 50, 190)
    with VideoWriter(tmp_path / "v.mp4", width=48, height=32, fps=25) as writer:
        writer.write(image, 0.0)
    shown = read(tmp_path / "v.mp4")[1][0]
    for x in (8, 24, 40):
        np.testing.assert_allclose(shown[16, x].astype(int), image[16, x], atol=6)


def test_video_of_one_frame(tmp_path):
    path = make(tmp_path / "v.mp4", gray(1))
    times, frames, _, _ = read(path)
    assert times.tolist() == [0.0]
    assert len(frames) == 1
    assert len(read(path, fps=2)[0]) == 1


@pytest.mark.parametrize(("name", "codec", "pix_fmt"), [("v.gif", "gif", "rgb8"), ("v.png", "png", "rgb24")])
def test_images_and_gifs(tmp_path, name, codec, pix_fmt):
    count = 1 if name == "v.png" else 4
    video = gray(count, fps=10, codec=codec, pix_fmt=pix_fmt, options={})
    times, frames, _, warnings = read(make(tmp_path / name, video))
    np.testing.assert_allclose(times, np.arange(count) / 10, atol=1e-3)
    assert frames.shape == (count, 24, 32, 3)
    assert warnings == [f"{tmp_path / name}: has no sound"]


def test_missing_audio_is_one_warning_and_an_empty_waveform(tmp_path):
    path = make(tmp_path / "v.mp4", gray(40))
    _, _, chunks, warnings = read(path)
    assert len(chunks) == 3
    assert all(len(c.waveform) == 0 for c in chunks)
    assert warnings == [f"{path}: has no sound"]
    assert not probe(path).has_audio


def test_long_pauses_and_large_frames_end_a_chunk(tmp_path, monkeypatch):
    # without sound: with it, a frame that stays is read again at the hop of the sound
    slides = make(tmp_path / "slides.mkv", VideoTrack([0, 50, 100, 300], levels(4)))
    assert [len(c) for c in read_video_chunks(slides)] == [2, 1, 1]
    monkeypatch.setattr("save_avs.video.reader._MAX_CHUNK_BYTES", 2 * 32 * 24 * 3)
    assert [len(c) for c in read_video_chunks(make(tmp_path / "v.mp4", gray(5)))] == [2, 2, 1]


def test_raw_stream_without_timestamps_follows_its_frame_rate(tmp_path):
    path = make(tmp_path / "v.h264", gray(10), format="h264")
    times, frames, _, _ = read(path)
    np.testing.assert_allclose(times, np.arange(10) * 0.04, atol=1e-6)
    np.testing.assert_allclose(frames[:, 5, 5, 0], levels(10), atol=3)


def test_changed_frame_size_is_scaled_to_the_first(tmp_path):
    first = make(tmp_path / "a.h264", gray(5), format="h264")
    second = make(tmp_path / "b.h264", gray(5, size=(64, 48)), format="h264")
    first.write_bytes(first.read_bytes() + second.read_bytes())
    _, frames, _, warnings = read(first)
    assert frames.shape == (10, 24, 32, 3)
    np.testing.assert_allclose(frames[:, 5, 5, 0], levels(5) * 2, atol=3)
    assert any("size changes" in w for w in warnings)


def test_default_streams_are_picked(tmp_path):
    path = tmp_path / "v.mkv"
    quiet, loud = tone(1, 16000, level=0.1), tone(1, 16000, level=0.6)
    tracks = [
        gray(25, size=(64, 48)),
        gray(25, size=(32, 24)),
        AudioTrack([(0.0, quiet)]),
        AudioTrack([(0.0, loud)]),
    ]
    make(tmp_path / "plain.mkv", *tracks)
    with av.open(str(tmp_path / "plain.mkv")) as source, av.open(str(path), "w") as target:
        streams = [target.add_stream_from_template(s) for s in source.streams]
        for number, stream in enumerate(streams):
            stream.disposition = av.stream.Disposition.default.value if number in (1, 3) else 0
        for packet in source.demux():
            if packet.dts is not None:
                packet.stream = streams[packet.stream_index]
                target.mux(packet)
    _, frames, chunks, _ = read(path, chunk=30)
    assert frames.shape[1:3] == (24, 32)
    assert np.abs(audio_at(chunks, 0.2, 0.8)).max() == pytest.approx(0.6, abs=0.01)


@needs_ffmpeg
def test_cover_image_is_not_picked(tmp_path):
    make(tmp_path / "v.mp4", gray(25), AudioTrack([(0, tone(1, 16000))], codec="aac", format="fltp"))
    make(tmp_path / "cover.png", gray(1, size=(200, 200), codec="png", pix_fmt="rgb24", options={}))
    path = tmp_path / "covered.mp4"
    sources = ["-i", tmp_path / "cover.png", "-i", tmp_path / "v.mp4", "-map", "0", "-map", "1"]
    codecs = ["-c:v:0", "mjpeg", "-c:v:1", "copy", "-c:a", "copy"]
    ffmpeg(*sources, *codecs, "-disposition:v:0", "attached_pic", path)
    assert probe(path).width == 32
    assert len(read(path)[0]) == 25


@pytest.mark.parametrize("name", ["12:30 ü.mp4", "http:x.mp4", "100%d.mkv"])
def test_file_name_that_looks_like_a_url_or_pattern_is_read(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make(tmp_path / "plain.mkv", gray(3)).rename(tmp_path / name)
    assert len(read(name)[0]) == 3


def test_decoded_frames_are_freed_without_garbage_collection(tmp_path):
    path = make(tmp_path / "v.mp4", VideoTrack(list(np.arange(40) / 10), levels(40)))
    gc.collect()
    gc.disable()
    try:
        count = sum(len(chunk) for chunk in read_video_chunks(path, chunk=4))
        left = sum(type(thing) is av.VideoFrame for thing in gc.get_objects())
    finally:
        gc.enable()
    assert count == 40 and left < 8
