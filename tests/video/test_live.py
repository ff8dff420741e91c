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
from tests.support.stream_senders import Rtsp, ffmpeg, free_port, needs_ffmpeg


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
        clips = list(read_live_chunks(pipe, chunk=7))
    live = np.concatenate([clip.frames for clip in clips])
    filed = list(read_video_chunks(video, chunk=7))
    np.testing.assert_array_equal(live, np.concatenate([clip.frames for clip in filed]))
    times = np.concatenate([clip.times for clip in clips])
    np.testing.assert_allclose(np.diff(times), 0.1, atol=1e-3)
    assert [clip.first_index for clip in clips] == list(np.cumsum([0, *map(len, clips)])[:-1])
    for clip in clips:  # the tone ends after two seconds
        heard = np.abs(clip.waveform).max() > 0.1
        assert heard == (clip.times[0] - times[0] - 0.5 < 2)
    assert not running_threads()


@needs_ffmpeg
def test_http_stream(video):
    url = f"http://127.0.0.1:{free_port()}/live.ts"
    with ffmpeg("-i", str(video), "-c", "copy", "-f", "mpegts", "-listen", "1", url):
        clips = list(retry_open(url))
    assert sum(map(len, clips)) == 40


def retry_open(url: str):
    """Open a source whose sender may not be up yet."""
    for _ in range(100):
        try:
            return read_live_chunks(url)
        except MediaError:
            time.sleep(0.05)
    raise AssertionError(f"nothing listens at {url}")


@needs_ffmpeg
@pytest.mark.slow
def test_rtsp_camera_until_the_iterator_is_closed(video, tmp_path):
    with Rtsp(video, tmp_path) as camera:
        seen, loud, clips = 0, set(), read_live_chunks(camera.url)
        for clip in clips:
            seen += len(clip)
            loud.add(bool(np.abs(clip.waveform).max() > 0.1))
            if seen > 45:
                break
        clips.close()
    assert loud == {True, False}
    assert not running_threads()


def test_camera_and_microphone_share_the_wall_clock():
    """Timestamps count from 1970, as those of v4l2 and alsa do."""
    camera = "lavfi:testsrc2=size=32x24:rate=10:duration=2,realtime,setpts=RTCTIME/(TB*1000000)"
    microphone = "lavfi:sine=duration=2.5,arealtime,asetpts=RTCTIME/(TB*1000000)"
    clips = list(read_live_chunks(camera, audio_source=microphone))
    times = np.concatenate([clip.times for clip in clips])
    assert len(times) >= 18 and -0.5 < times[0] < 1.5
    middle = clips[len(clips) // 2]
    assert np.abs(middle.waveform).max() > 0.05  # sine's own level is an eighth
    assert not running_threads()


def test_slow_consumer_drops_frames_with_a_warning():
    warnings: list[str] = []
    source = "lavfi:testsrc2=size=32x24:rate=50:duration=2,realtime"
    seen: list[int] = []
    for clip in read_live_chunks(source, chunk=4, drop=True, on_warning=warnings.append):
        seen += range(clip.first_index, clip.first_index + len(clip))
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
    clips = read_live_chunks("lavfi:testsrc2=size=32x24:rate=20,realtime")
    next(clips)
    assert running_threads()
    clips.close()
    assert not running_threads()


def test_is_live(video, pipe, tmp_path):
    assert is_live("rtsp://camera/stream") and is_live("v4l2:/dev/video0") and is_live(pipe)
    assert is_live("/dev/null")  # a device, though none with pictures
    assert not is_live(video) and not is_live(tmp_path / "a:b.mp4") and not is_live("missing.mp4")


def test_fps_must_be_positive():
    with pytest.raises(UsageError, match="fps"):
        read_live_chunks("lavfi:testsrc2", fps=0)
