"""Every decoded frame is kept, at a time of its own: containers, codecs, B-frames, wrong timestamps."""

from __future__ import annotations

import subprocess
from fractions import Fraction

import av
import numpy as np
import pytest

from save_avs.video import probe, read_video_chunks
from save_avs.video.frame_decoder import ReadReport
from save_avs.video.timestamps import repair_times
from tests.support.media_files import ffmpeg, gray, levels, make, needs_ffmpeg, needs_ffprobe

FRAMES = 50
X264 = ["-c:v", "libx264", "-preset", "ultrafast", "-g", "25"]
X265 = ["-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "bframes=3:log-level=none"]
MPEG4 = ["-c:v", "mpeg4", "-bf", "2"]
COMBINATIONS = {
    "h264-b0.avi": [*X264, "-bf", "0", "-c:a", "mp3"],
    "h264-b3.avi": [*X264, "-bf", "3", "-c:a", "mp3"],
    "hevc-b3.avi": [*X265, "-tag:v", "HEVC", "-c:a", "mp3"],
    "mpeg4-b2.avi": [*MPEG4, "-c:a", "mp3"],
    "h264-b3.asf": [*X264, "-bf", "3", "-c:a", "wmav2"],
    "wmv2.asf": ["-c:v", "wmv2", "-c:a", "wmav2"],
    "h264-b3.mp4": [*X264, "-bf", "3", "-c:a", "aac"],
    "hevc-b3.mp4": [*X265, "-c:a", "aac"],
    "h264-b3.mkv": [*X264, "-bf", "3", "-c:a", "aac"],
    "mpeg4-b2.mkv": [*MPEG4, "-c:a", "aac"],
    "h264-b3.mov": [*X264, "-bf", "3", "-c:a", "aac"],
    "h264-b3.ts": [*X264, "-bf", "3", "-c:a", "aac"],
    "mpeg2-b2.ts": ["-c:v", "mpeg2video", "-bf", "2", "-c:a", "mp2"],
    "h264-b3.flv": [*X264, "-bf", "3", "-c:a", "aac"],
    "vp9.webm": ["-c:v", "libvpx-vp9", "-cpu-used", "8", "-deadline", "realtime", "-c:a", "libopus"],
    "av1.mkv": ["-c:v", "libsvtav1", "-preset", "12", "-c:a", "libopus"],
    "theora.ogv": ["-c:v", "libtheora", "-c:a", "libvorbis"],
}


def flash_and_beep(path, *encoding):
    """White from frame 25 on for two frames of 25 fps, and a beep of that length from the same time on."""
    white = "color=black:s=96x64:r=25:d=2,geq=lum='if(between(N,25,26),235,16)':cb=128:cr=128"
    beep = "aevalsrc='if(between(t,1,1.08),0.8*sin(2*PI*1000*t),0)':s=48000:d=2"
    ffmpeg("-f", "lavfi", "-i", white, "-f", "lavfi", "-i", beep, "-pix_fmt", "yuv420p", *encoding, path)
    return path


def count_by_ffprobe(path) -> int:
    command = ["ffprobe", "-v", "error", "-select_streams", "v:0", "-count_frames", "-of", "csv=p=0"]
    command += ["-show_entries", "stream=nb_read_frames", str(path)]
    text = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout
    return int(text.split()[0].strip(","))


def read(path, **options):
    report, warnings = ReadReport(), []
    chunks = list(read_video_chunks(path, report=report, on_warning=warnings.append, **options))
    times, frames = (np.concatenate([getattr(c, name) for c in chunks]) for name in ("times", "frames"))
    return times, frames, chunks, report, warnings


def offset_of_beep(times, frames, chunks) -> float:
    flash = times[np.argmax(frames.mean(axis=(1, 2, 3)) > 120)]
    [chunk] = [c for c in chunks if c.times[0] <= flash <= c.times[-1]]
    at = chunk.waveform_start + np.argmax(np.abs(chunk.waveform) > 0.2) / chunk.sample_rate
    return float(at - flash)


@needs_ffmpeg
@needs_ffprobe
@pytest.mark.parametrize("name", COMBINATIONS)
def test_frames_kept_are_the_frames_decoded(tmp_path, name):
    path = flash_and_beep(tmp_path / name, *COMBINATIONS[name])
    times, frames, chunks, report, warnings = read(path, chunk=FRAMES)
    assert len(times) == report.frames_decoded == count_by_ffprobe(path)
    assert report.timestamps_repaired == 0 and warnings == []
    assert abs(offset_of_beep(times, frames, chunks)) < 0.045  # one frame; mp3 in AVI delays by 23 ms
    if name != "theora.ogv":
        assert len(times) == FRAMES
        np.testing.assert_allclose(
            np.diff(times)[1:], 0.04, atol=1.1e-3
        )  # AVI: a repeat packet after the first


@needs_ffmpeg
@pytest.mark.parametrize("seconds", [0.4, 0.8, 1.6])
def test_joined_transport_streams_keep_their_second_part(tmp_path, seconds):
    path = flash_and_beep(tmp_path / "v.ts", *X264, "-bf", "2", "-c:a", "mp2", "-t", str(seconds))
    path.write_bytes(path.read_bytes() * 2)
    times, _, _, report, warnings = read(path)
    assert report == ReadReport(2 * round(25 * seconds), 0)
    assert all("silent throughout" in warning for warning in warnings)  # without the beep at 1 s
    np.testing.assert_allclose(np.median(np.diff(times)), 0.04, atol=1e-3)
    assert times[-1] == pytest.approx(2 * seconds, abs=0.3)


@needs_ffmpeg
@pytest.mark.parametrize("b_frames", [1, 2, 3])
def test_mp4_whose_pts_are_its_dts_keeps_frames_and_sync(tmp_path, b_frames):
    source = flash_and_beep(tmp_path / "source.mp4", *X264, "-bf", b_frames, "-c:a", "aac")
    path = tmp_path / "v.mp4"
    with av.open(str(source)) as container, av.open(str(path), "w") as target:
        streams = {s.index: target.add_stream_from_template(s) for s in container.streams}
        number = 0
        for packet in container.demux():
            if packet.dts is None:
                continue
            if packet.stream.type == "video":
                packet.pts = packet.dts = round(number / 25 / packet.time_base)
                number += 1
            packet.stream = streams[packet.stream_index]
            target.mux(packet)
    times, frames, chunks, report, warnings = read(path, chunk=FRAMES)
    np.testing.assert_allclose(times, np.arange(FRAMES) / 25, atol=1e-3)
    assert report == ReadReport(FRAMES, 0) and warnings == []
    assert abs(offset_of_beep(times, frames, chunks)) < 0.03


def repaired(times, step=0.04):
    fixed: list[float] = []
    kept = list(repair_times(list(enumerate(times)), step, fixed.append))
    assert [frame for frame, _ in kept] == list(range(len(times)))
    result = [time for _, time in kept]
    assert np.all(np.diff(result) >= 0.99 / 90_000)
    return result, fixed


@pytest.mark.parametrize(
    ("times", "expected", "count"),
    [
        ([0.0, 0.04, 0.08], [0.0, 0.04, 0.08], 0),
        ([0.0, 0.04, None, 0.12], [0.0, 0.04, 0.08, 0.12], 1),
        ([0.0, 0.04, 0.04, 0.12], [0.0, 0.04, 0.08, 0.12], 1),
        ([0.0, 0.04, 0.02, 0.01, 0.16], [0.0, 0.04, 0.08, 0.12, 0.16], 2),
        ([0.0, 0.04, 1e9, 0.12], [0.0, 0.04, 0.08, 0.12], 1),
        ([0.0, 0.04, 0.08, None], [0.0, 0.04, 0.08, 0.12], 1),
        ([None, None, None], [0.0, 0.04, 0.08], 0),
        ([0.0, 0.04, 1e9], [0.0, 0.04, 1e9], 0),
    ],
)
def test_wrong_time_is_placed_between_its_neighbors(times, expected, count):
    result, fixed = repaired(times)
    np.testing.assert_allclose(result, expected, atol=1e-9)
    assert len(fixed) == count


def test_times_of_any_kind_keep_every_frame():
    rng = np.random.default_rng(0)
    for _ in range(300):
        times = np.cumsum(rng.choice([0.0, 1e-9, 0.04, -0.5, 30.0, 1e9], size=rng.integers(1, 40)))
        repaired([None if rng.random() < 0.2 else float(time) for time in times])


def test_clock_that_starts_again_goes_on_from_where_it_was():
    times = [i / 25 for i in range(30)] * 2
    result, _ = repaired(times)
    assert result[-1] == pytest.approx(60 / 25, abs=0.1)


@needs_ffmpeg
def test_y4m_of_a_billion_frames_per_second_is_read(tmp_path):
    path = tmp_path / "v.y4m"
    path.write_bytes(b"YUV4MPEG2 W16 H16 F1000000000:1 Ip C420jpeg\n" + (b"FRAME\n" + bytes(384)) * 30)
    for fps in (None, 5):
        times, _, _, report, _ = read(path, fps=fps)
        assert report.frames_decoded == 30
        assert len(times) == (30 if fps is None else 1)


def set_flv_time(path, number, milliseconds):
    """Change the timestamp of a video tag of an FLV file, counted from 0."""
    data, at, seen = bytearray(path.read_bytes()), 13, -1
    while True:
        size = int.from_bytes(data[at + 1 : at + 4], "big")
        seen += data[at] == 9
        if seen == number:
            data[at + 4 : at + 7] = milliseconds.to_bytes(3, "big")
            path.write_bytes(data)
            return
        at += 11 + size + 4


def test_repaired_timestamps_are_reported_once(tmp_path):
    path = make(tmp_path / "v.flv", gray(20, codec="flv", options={"qscale": "2"}))
    for number in (7, 8):
        set_flv_time(path, number, 120)
    times, frames, _, report, warnings = read(path)
    np.testing.assert_allclose(frames.mean(axis=(1, 2, 3)), levels(20), atol=4)
    np.testing.assert_allclose(times, np.arange(20) / 25, atol=1e-3)
    assert report == ReadReport(20, 2)
    assert [w for w in warnings if "wrong timestamp" in w] == [
        f"{path}: 2 of 20 frames have a missing or wrong timestamp (the first at 0.28 s): "
        "placed between their neighbors"
    ]
    assert probe(path).origin == 0


@pytest.mark.parametrize("ticks", [[-(2**61), 0, 1], [0, 1, 2**61, 2**61 + 1], [2**61, 2**61 + 1]])
def test_timestamps_at_the_ends_of_time_keep_every_frame(tmp_path, ticks):
    path = tmp_path / "v.nut"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("rawvideo", rate=25)
        stream.width, stream.height, stream.pix_fmt = 8, 8, "rgb24"
        stream.time_base = Fraction(1, 90_000)
        for tick in ticks:
            packet = av.Packet(bytes(192))
            packet.stream, packet.time_base, packet.is_keyframe = stream, Fraction(1, 90_000), True
            packet.pts = packet.dts = tick
            container.mux(packet)
    times, _, _, report, _ = read(path)
    assert len(times) == report.frames_decoded == len(ticks)
