"""Watch a camera, a stream or a file, and say when something in view begins or ceases to sound.

python examples/watch.py /dev/video0 alsa:default
python examples/watch.py rtsp://camera/stream
python examples/watch.py clip.mp4
"""

from __future__ import annotations

import sys

import save_avs

VISIBLE = 0.002  # share of the picture


def watch(source: str, sound: str | None = None) -> None:
    """Print a line for each change, until the source ends or Ctrl-C."""
    sounding = False
    warn = lambda text: print(f"warning: {text}", file=sys.stderr)  # noqa: E731
    for frame in save_avs.stream(source, sound=sound, on_warning=warn):
        if (frame.mask.mean() > VISIBLE) != sounding:
            sounding = not sounding
            what = "something sounds" if sounding else "nothing in view sounds"
            print(f"{frame.time:8.2f} s  {what}", flush=True)


if __name__ == "__main__":
    watch(*sys.argv[1:])
