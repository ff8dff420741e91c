"""Check what `save-avs segment` wrote: usage, check_outputs.py FOLDER REPORT.json."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import av

import save_avs


def main(folder: Path, report: Path) -> None:
    """Exit with one line that says what is wrong, or print one that says what was found."""
    if "site-packages" not in str(save_avs.__file__):
        sys.exit(f"save_avs came from {save_avs.__file__}, not from the wheel")
    results = json.loads(report.read_text())["results"]
    if len(results) != 1:
        sys.exit(f"{report} names {len(results)} results, not 1")
    frames = json.loads((folder / "masks.json").read_text())["frames"]
    sounding = sum(frame["score"] > 0 for frame in frames)
    if not frames or not sounding:
        sys.exit(f"masks.json: {sounding} of {len(frames)} frames are marked")
    if not (folder / "timeline.png").read_bytes().startswith(b"\x89PNG"):
        sys.exit("timeline.png is no PNG")
    json.loads((folder / "summary.json").read_text())
    with av.open(str(folder / "overlay.mp4")) as video:
        kinds = sorted(stream.type for stream in video.streams)
        shown = sum(1 for _ in video.decode(video=0))
    if kinds != ["audio", "video"] or shown != len(frames):
        sys.exit(f"overlay.mp4 has {kinds} and {shown} frames, not sound, picture and {len(frames)} frames")
    print(f"== wheel: works: {len(frames)} frames, {sounding} of them with something that sounds")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
