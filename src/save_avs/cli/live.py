"""`save-avs live`: masks of sounding objects in a camera or a stream, as they come."""

from __future__ import annotations

import json
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

from typer import Argument, Option

from save_avs.cli._console import output_settings, plural, print_block, print_info, print_line
from save_avs.cli._options import (
    Deinterlace,
    Device,
    Fps,
    ModelName,
    Overwrite,
    Precision,
    Runtime,
    Threshold,
    ToneMap,
    check_overwrite,
)
from save_avs.errors import UsageError

if TYPE_CHECKING:
    from save_avs.inference.streaming import SegmentedFrame
    from save_avs.video.container import Switch


def live(
    source: Annotated[
        str,
        Argument(
            metavar="SOURCE",
            help="A camera (/dev/video0, or its number), a URL (rtsp, udp, http, ...) or a named pipe.",
        ),
    ],
    overlay: Annotated[
        Path | None,
        Option(
            metavar="FILE",
            help="Write the overlay as well, .mp4 or .mkv, which can be played while it grows.",
        ),
    ] = None,
    audio_source: Annotated[
        str | None, Option(metavar="SOURCE", help="Sound from elsewhere, such as alsa:default.")
    ] = None,
    model: ModelName = "save-small",
    fps: Fps = "native",
    threshold: Threshold = 0.5,
    duration: Annotated[float | None, Option(metavar="SECONDS", help="Stop after so many seconds.")] = None,
    timeout: Annotated[
        float, Option(metavar="SECONDS", help="Seconds without data that end the source.")
    ] = 5.0,
    precision: Precision = "auto",
    device: Device = "auto",
    runtime: Runtime = "auto",
    tone_map: ToneMap = "auto",
    deinterlace: Deinterlace = "auto",
    overwrite: Overwrite = False,
) -> int:
    """Segment a camera or a stream while it runs: one JSON line per frame on stdout.

    \b
    Examples:
      save-avs live /dev/video0 --audio-source alsa:default
      save-avs live rtsp://camera/stream --fps 5 --overlay live.mkv
      save-avs live udp://0.0.0.0:5000 --duration 60 > masks.jsonl

    Ctrl-C ends it; the overlay is complete up to there.
    """
    from save_avs.inference.settings import parse_fps

    for name, seconds in (("--duration", duration), ("--timeout", timeout)):
        if seconds is not None and not 0 < seconds < 1e9:
            raise UsageError(f"{name} must be a number of seconds above 0, not {seconds:g}")
    check_overwrite(overlay, overwrite, "file")

    from save_avs.cli._models import load_and_announce
    from save_avs.inference.streaming import stream

    frames = stream(
        _camera(source),
        model=load_and_announce(model, device=device, precision=precision, runtime=runtime),
        audio_source=audio_source,
        fps=parse_fps(fps),
        threshold=threshold,
        timeout=timeout,
        tone_map=cast("Switch", tone_map),
        deinterlace=cast("Switch", deinterlace),
        overlay=overlay,
        on_warning=lambda text: print_line(f"warning: {text}", err=True),
    )
    if overlay is not None:
        output_settings.after_stop = f"{overlay} is complete up to here."
    count, first = 0, None
    with closing(frames):
        for frame in frames:
            first = frame.time if first is None else first
            if duration is not None and frame.time - first >= duration:
                break
            count += 1
            print_block(json.dumps(_frame_json(frame)))
    print_info(f"{source}: {plural(count, 'frame')}")
    return 0


def _camera(source: str) -> str:
    """Return the source that FFmpeg opens for a camera's number."""
    if not source.isdecimal():
        return source
    return f"avfoundation:{source}" if sys.platform == "darwin" else f"/dev/video{source}"


def _frame_json(frame: SegmentedFrame) -> dict[str, Any]:
    """Return a frame as masks.json has it, and the box around its mask as [x, y, width, height]."""
    from save_avs._rle import encode_rle
    from save_avs.formats.masks_json import rle_json
    from save_avs.types import MaskObject

    height, width = frame.mask.shape
    shown = MaskObject((height, width), encode_rle(frame.mask), frame.score)
    return {
        "index": frame.index,
        "time": round(frame.time, 6),
        "score": round(frame.score, 6),
        "box": list(shown.box) if frame.mask.any() else None,
        "segmentation": rle_json(shown.size, shown.counts),
    }
