"""Memory for reading and writing does not grow with the length of a video."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from save_avs.video import VideoWriter

READ_AND_WRITE = """
import sys
from save_avs.video import VideoWriter, probe, read_video_chunks
source, target = sys.argv[1:]
info, count = probe(source), 0
with VideoWriter(target, width=info.width, height=info.height, fps=info.fps, audio_from=source) as writer:
    for chunk in read_video_chunks(source):
        count += len(chunk)
        for frame, time in zip(chunk.frames, chunk.times):
            writer.write(frame, float(time))
status = open("/proc/self/status").read()
print(count, status.split("VmHWM:")[1].split()[0])
"""


def video(path, seconds: int, fps: int = 2):
    rng = np.random.default_rng(0)
    waveform = (0.1 * rng.standard_normal(seconds * 16000)).astype(np.float32)
    image = np.zeros((90, 160, 3), np.uint8)
    with VideoWriter(path, width=160, height=90, fps=fps, audio=(waveform, 16000)) as writer:
        for i in range(seconds * fps):
            image[:] = i % 200
            writer.write(image, i / fps)
    return path


def peak(source, target) -> tuple[int, float]:
    run = [sys.executable, "-c", READ_AND_WRITE, str(source), str(target)]
    count, kilobytes = subprocess.run(run, check=True, capture_output=True, text=True).stdout.split()
    return int(count), int(kilobytes) / 1024


@pytest.mark.exhaustive
@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak from /proc")
def test_ten_minutes_need_no_more_memory_than_ten_seconds(tmp_path):
    frames, short = peak(video(tmp_path / "short.mp4", 10), tmp_path / "a.mp4")
    assert frames == 20
    frames, long = peak(video(tmp_path / "long.mp4", 600), tmp_path / "b.mp4")
    assert frames == 1200  # 52 MB of frames, 38 MB of audio
    assert long - short < 20, f"{short:.0f} MB for ten seconds, {long:.0f} MB for ten minutes"
    print(f"{short:.0f} MB for ten seconds, {long:.0f} MB for ten minutes")
