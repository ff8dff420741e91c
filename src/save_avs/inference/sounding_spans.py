"""When something was visible in the masks: spans of time."""

from dataclasses import dataclass

import numpy as np

from save_avs.inference.objects import MIN_VISIBLE_AREA
from save_avs.types import F64, VideoMasks

MAX_GAP = 0.3  # seconds: a shorter pause does not end a span


@dataclass(frozen=True)
class SoundingSpan:
    """A visible mask from ``start`` to ``end`` seconds, covering ``area`` of the frame on average."""

    start: float
    end: float
    area: float


def find_sounding_spans(masks: VideoMasks) -> list[SoundingSpan]:
    """Join the frames with a visible mask into spans of time, in order."""
    times, ends, areas = np.array(masks.times), frame_ends(masks), masks.areas()
    spans: list[list[int]] = []
    for i in np.flatnonzero(areas >= MIN_VISIBLE_AREA).tolist():
        if spans and times[i] - ends[spans[-1][-1]] < MAX_GAP:
            spans[-1].append(i)
        else:
            spans.append([i])
    return [SoundingSpan(float(times[s[0]]), float(ends[s[-1]]), float(areas[s].mean())) for s in spans]


def frame_ends(masks: VideoMasks) -> F64:
    """Return when each frame ends, f64 [T]: at the next one; the last lasts as long as the one before."""
    times = np.array(masks.times, dtype=np.float64)
    steps = np.diff(times)
    return np.append(times[1:], times[-1:] + (steps[-1:] if len(steps) else 0.0))
