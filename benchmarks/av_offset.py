"""Offset of sound and image in flash-and-beep files and in their overlays, measured by ffmpeg and ffprobe.

python benchmarks/av_offset.py
"""

from __future__ import annotations

import subprocess
import tempfile
from itertools import product
from pathlib import Path

import numpy as np

import save_avs
from save_avs._text import markdown_table

H264 = ["-c:v", "libx264", "-preset", "ultrafast"]
ENCODINGS = {
    "h264-b0.mp4": [*H264, "-bf", "0", "-c:a", "aac"],
    "h264-b3.mp4": [*H264, "-bf", "3", "-c:a", "aac"],
    "h264-b3.mkv": [*H264, "-bf", "3", "-c:a", "libopus"],
    "hevc-b3.mkv": ["-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "bframes=3:log-level=none"],
    "mpeg4-b2.mov": ["-c:v", "mpeg4", "-bf", "2", "-c:a", "pcm_s16le"],
    "h264-b2.ts": [*H264, "-bf", "2", "-c:a", "mp2"],
    "mpeg2-b2.ts": ["-c:v", "mpeg2video", "-bf", "2", "-c:a", "mp2"],
    "vp9.webm": ["-c:v", "libvpx-vp9", "-cpu-used", "8", "-deadline", "realtime", "-c:a", "libopus"],
    "theora.ogv": ["-c:v", "libtheora", "-c:a", "libvorbis"],
    "h264-b3.flv": [*H264, "-bf", "3", "-c:a", "aac"],
}
# Frames per second, and seconds from the flash to the beep.
VARIANTS = (("25", 0.0), ("30000/1001", 0.2), ("24", -0.12))
SECONDS, FLASH, RATE, SIZE = 1.6, 20, 48000, (96, 64)


def make(path: Path, encoding: list[str], fps: str, delay: float) -> None:
    """Write two white frames among black ones, and a beep of 80 ms that begins ``delay`` after the first."""
    number, _, per = fps.partition("/")
    beep = FLASH * int(per or 1) / int(number) + delay
    width, height = SIZE
    white = f"color=black:s={width}x{height}:r={fps}:d={SECONDS},"
    white += f"geq=lum='if(between(N,{FLASH},{FLASH + 1}),235,16)':cb=128:cr=128"
    sound = f"aevalsrc='if(between(t,{beep},{beep + 0.08}),0.8*sin(2*PI*1000*t),0)':s={RATE}:d={SECONDS}"
    inputs = ["-f", "lavfi", "-i", white, "-f", "lavfi", "-i", sound]
    command = ["ffmpeg", "-v", "error", "-y", *inputs, "-pix_fmt", "yuv420p", *encoding, str(path)]
    subprocess.run(command, check=True)


def offset(path: Path) -> float:
    """Return the seconds from the first white frame to the beep."""
    run = ["ffmpeg", "-v", "error", "-copyts", "-i", str(path)]
    gray = [*run, "-fps_mode", "passthrough", "-f", "rawvideo", "-pix_fmt", "gray", "-"]
    images = np.frombuffer(_output(gray), np.uint8).reshape(-1, SIZE[0] * SIZE[1])
    probe = ["ffprobe", "-v", "error", "-select_streams", "v:0", "-of", "csv=p=0"]
    probe += ["-show_entries", "frame=best_effort_timestamp_time", str(path)]
    times = [float(line.split(",")[0]) for line in _output(probe).decode().split()]
    on_clock = f"aresample={RATE}:async=1:first_pts=0"
    sound = _output([*run, "-vn", "-af", on_clock, "-ac", "1", "-f", "f32le", "-"])
    loud = np.abs(np.frombuffer(sound, np.float32)) > 0.2
    return float(np.argmax(loud)) / RATE - times[int(np.argmax(images.mean(axis=1) > 120))]


def _output(command: list[str]) -> bytes:
    return subprocess.run(command, check=True, capture_output=True).stdout


def main() -> None:
    """Segment every file and print a table, in milliseconds."""
    model, rows, differences = save_avs.load_model("save-small"), [], []
    with tempfile.TemporaryDirectory() as folder:
        for (name, encoding), (fps, delay) in product(ENCODINGS.items(), VARIANTS):
            source, overlay = Path(folder) / name, Path(folder) / "overlay.mp4"
            make(source, encoding, fps, delay)
            save_avs.segment(source, model=model).overlay(overlay)
            before, after = offset(source), offset(overlay)
            differences.append(abs(after - before))
            milliseconds = (1e3 * each for each in (delay, before, after, after - before))
            rows.append([name, fps, *(f"{each:.1f}" for each in milliseconds)])
    print(markdown_table(["file", "fps", "made", "source", "overlay", "difference"], rows, right_from=1))
    print(f"\n{len(rows)} files, largest difference {1e3 * max(differences):.1f} ms")


if __name__ == "__main__":
    main()
