"""Check the output of `save-avs segment`: python scripts/check_outputs.py FOLDER REPORT.json."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import av

import save_avs


def main(folder: Path, report: Path) -> None:
    """Print a summary, or exit with a line about the first problem."""
    if "site-packages" not in str(save_avs.__file__):
        sys.exit(f"save_avs was imported from {save_avs.__file__} instead of the wheel")
    results = json.loads(report.read_text())["results"]
    if len(results) != 1:
        sys.exit(f"{report}: {len(results)} results instead of 1")
    frames = json.loads((folder / "masks.json").read_text())["frames"]
    sounding = sum(frame["score"] > 0 for frame in frames)
    if not frames or not sounding:
        sys.exit(f"masks.json: {sounding} of {len(frames)} frames have a mask")
    if not (folder / "timeline.png").read_bytes().startswith(b"\x89PNG"):
        sys.exit("timeline.png is not a PNG")
    json.loads((folder / "summary.json").read_text())
    with av.open(str(folder / "overlay.mp4")) as video:
        kinds = sorted(stream.type for stream in video.streams)
        shown = sum(1 for _ in video.decode(video=0))
    if kinds != ["audio", "video"] or shown != len(frames):
        sys.exit(f"overlay.mp4: {kinds} with {shown} frames instead of audio and video with {len(frames)}")
    print(f"== wheel: works: {len(frames)} frames, {sounding} of them with a sounding object")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
