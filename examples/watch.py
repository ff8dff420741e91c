"""Watch a camera, a stream or a file, and print when an object in view starts or stops sounding.

python examples/watch.py /dev/video0 alsa:default
python examples/watch.py rtsp://camera/stream
python examples/watch.py clip.mp4
"""

from __future__ import annotations

import sys

import save_avs

MIN_AREA = 0.002  # share of the frame


def watch(source: str, audio_source: str | None = None) -> None:
    """Print a line for each change, until the source ends or Ctrl-C."""
    sounding = False
    warn = lambda text: print(f"warning: {text}", file=sys.stderr)  # noqa: E731
    for frame in save_avs.stream(source, audio_source=audio_source, on_warning=warn):
        if (frame.mask.mean() > MIN_AREA) != sounding:
            sounding = not sounding
            state = "sounding object in view" if sounding else "no sounding object in view"
            print(f"{frame.time:8.2f} s  {state}", flush=True)


if __name__ == "__main__":
    watch(*sys.argv[1:])
