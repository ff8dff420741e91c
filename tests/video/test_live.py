"""Live sources on localhost: pipes, HTTP, RTSP, and FFmpeg's virtual device."""

from __future__ import annotations

import os
import subprocess
import threading
import time

import numpy as np
import pytest

from save_avs.errors import MediaError, UsageError
from save_avs.video import is_live, read_live_chunks, read_video_chunks
from tests.support.sample_videos import make_video
from tests.support.stream_senders import Rtsp, ffmpeg, free_port, needs_ffmpeg

pytestmark = pytest.mark.slow


def running_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "save-avs-live"]


@pytest.fixture
def pipe(tmp_path):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    return path


@needs_ffmpeg
def test_pipe_gives_every_frame_with_its_audio(video, pipe):
    with ffmpeg("-i", str(video), "-c", "copy", "-f", "mpegts", str(pipe)):
        chunks = list(read_live_chunks(pipe, chunk=7))
    live = np.concatenate([chunk.frames for chunk in chunks])
    filed = list(read_video_chunks(video, chunk=7))
    np.testing.assert_array_equal(live, np.concatenate([chunk.frames for chunk in filed]))
    times = np.concatenate([chunk.times for chunk in chunks])
    np.testing.assert_allclose(np.diff(times), 0.1, atol=1e-3)
    assert [chunk.first_index for chunk in chunks] == list(np.cumsum([0, *map(len, chunks)])[:-1])
    for chunk in chunks:  # the tone ends after two seconds
        heard = np.abs(chunk.waveform).max() > 0.1
        assert heard == (chunk.times[0] - times[0] - 0.5 < 2)
    assert not running_threads()


INTERLACED = [
    "-vf",
    "tinterlace=interleave_top,fieldorder=tff",
    "-c:v",
    "mpeg2video",
    "-flags",
    "+ildct+ilme",
]
PQ = "setparams=color_primaries=bt2020:color_trc=smpte2084:colorspace=bt2020nc,format=yuv420p10le"


@needs_ffmpeg
@pytest.mark.parametrize(
    ("option", "encoding"),
    [
        ("deinterlace", [*INTERLACED, "-q:v", "2"]),
        ("tone_map", ["-vf", PQ, "-c:v", "ffv1"]),
    ],
)
def test_live_frames_look_as_those_of_the_file(tmp_path, pipe, option, encoding):
    path = tmp_path / "v.mkv"
    with ffmpeg("-f", "lavfi", "-i", "testsrc2=s=96x64:r=50:d=0.4", *encoding, str(path)) as process:
        assert process.wait(20) == 0
    looks = {}
    for switch in ("auto", "off"):
        with ffmpeg("-i", str(path), "-c", "copy", "-f", "matroska", str(pipe)):
            chunks = list(read_live_chunks(pipe, **{option: switch}))
        looks[switch] = np.concatenate([chunk.frames for chunk in chunks])
    for switch in ("off",) if option == "tone_map" else looks:  # the table of colors takes seconds to make
        filed = np.concatenate([chunk.frames for chunk in read_video_chunks(path, **{option: switch})])
        np.testing.assert_array_equal(looks[switch], filed)
    assert np.abs(looks["auto"].astype(int) - looks["off"]).mean() > 1  # the switch does something


def test_pipe_with_metadata_in_another_encoding(pipe, tmp_path):
    path = make_video(tmp_path / "v.avi", frames=10)
    data = path.read_bytes()
    assert b"Lavf" in data
    sender = threading.Thread(target=pipe.write_bytes, args=(data.replace(b"Lavf", b"\xe9\xe8\xff\xfe"),))
    sender.start()
    assert sum(map(len, read_live_chunks(pipe))) == 10
    sender.join()


@needs_ffmpeg
def test_http_stream(video):
    url = f"http://127.0.0.1:{free_port()}/live.ts"
    with ffmpeg("-i", str(video), "-c", "copy", "-f", "mpegts", "-listen", "1", url):
        chunks = list(retry_open(url))
    assert sum(map(len, chunks)) == 40


def retry_open(url: str):
    """Open a source whose sender may not be up yet."""
    for _ in range(100):
        try:
            return read_live_chunks(url)
        except MediaError:
            time.sleep(0.05)
    raise AssertionError(f"nothing listens at {url}")


@pytest.mark.exhaustive
@needs_ffmpeg
def test_rtsp_camera_until_the_iterator_is_closed(video, tmp_path):
    with Rtsp(video, tmp_path) as camera:
        seen, loud, chunks = 0, set(), read_live_chunks(camera.url)
        for chunk in chunks:
            seen += len(chunk)
            loud.add(bool(np.abs(chunk.waveform).max() > 0.1))
            if seen > 45:
                break
        chunks.close()
    assert loud == {True, False}
    assert not running_threads()


def test_camera_and_microphone_share_the_wall_clock():
    """Timestamps count from 1970, as those of v4l2 and alsa do."""
    camera = "lavfi:testsrc2=size=32x24:rate=10:duration=2,realtime,setpts=RTCTIME/(TB*1000000)"
    microphone = "lavfi:sine=duration=2.5,arealtime,asetpts=RTCTIME/(TB*1000000)"
    chunks = list(read_live_chunks(camera, audio_source=microphone))
    times = np.concatenate([chunk.times for chunk in chunks])
    assert len(times) >= 18 and -0.5 < times[0] < 1.5
    middle = chunks[len(chunks) // 2]
    assert np.abs(middle.waveform).max() > 0.05  # sine's own level is an eighth
    assert not running_threads()


def test_slow_consumer_drops_frames_with_a_warning():
    warnings: list[str] = []
    source = "lavfi:testsrc2=size=32x24:rate=50:duration=2,realtime"
    seen: list[int] = []
    for chunk in read_live_chunks(source, chunk=4, drop=True, on_warning=warnings.append):
        seen += range(chunk.first_index, chunk.first_index + len(chunk))
        time.sleep(0.4)
    assert len(seen) < 50 and seen[-1] >= 95
    assert any("are dropped" in text for text in warnings)
    assert any("has no sound" in text for text in warnings)


def test_pipe_that_sends_nothing_times_out(pipe):
    warnings: list[str] = []
    with pytest.raises(MediaError, match="cannot be opened"):
        read_live_chunks(pipe, timeout=0.3, on_warning=warnings.append)
    assert not running_threads()


def test_pipe_that_does_not_send_video(pipe):
    writer = subprocess.Popen(["sh", "-c", f"echo no video > {pipe}"])
    with pytest.raises(MediaError, match="cannot be opened"):
        read_live_chunks(pipe, timeout=2)
    writer.wait(5)


def test_unreachable_url():
    with pytest.raises(MediaError, match=r"tcp://127\.0\.0\.1:\d+: cannot be opened"):
        read_live_chunks(f"tcp://127.0.0.1:{free_port()}")


def test_closing_the_iterator_stops_the_threads():
    chunks = read_live_chunks("lavfi:testsrc2=size=32x24:rate=20,realtime")
    next(chunks)
    assert running_threads()
    chunks.close()
    assert not running_threads()


def test_is_live(video, pipe, tmp_path):
    assert is_live("rtsp://camera/stream") and is_live("v4l2:/dev/video0") and is_live(pipe)
    assert is_live("/dev/null")  # a device, though not a camera
    assert not is_live(video) and not is_live(tmp_path / "a:b.mp4") and not is_live("missing.mp4")


def test_fps_must_be_positive():
    with pytest.raises(UsageError, match="fps"):
        read_live_chunks("lavfi:testsrc2", fps=0)
