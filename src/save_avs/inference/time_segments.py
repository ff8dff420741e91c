"""When something was marked: a track of masks told as spans of time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from save_avs.types import VideoMasks

VISIBLE = 0.001  # share of the picture under which a mask is a stray speck
GAP = 0.3  # seconds: a shorter pause does not end a span


@dataclass(frozen=True)
class SoundingSpan:
    """Something was marked from ``start`` to ``end`` seconds, ``area`` of the picture on average."""

    start: float
    end: float
    area: float


def find_sounding_spans(video_masks: VideoMasks) -> list[SoundingSpan]:
    """Join the frames with a visible mask into spans of time, in order.

    A frame lasts until the next one; the last as long as the one before it.
    """
    times = np.array(video_masks.times)
    steps = np.diff(times)
    ends = np.append(times[1:], times[-1:] + (steps[-1:] if len(steps) else 0.0))
    areas = video_masks.areas()
    spans: list[list[int]] = []
    for i in np.flatnonzero(areas >= VISIBLE).tolist():
        if spans and times[i] - ends[spans[-1][-1]] < GAP:
            spans[-1].append(i)
        else:
            spans.append([i])
    return [SoundingSpan(float(times[s[0]]), float(ends[s[-1]]), float(areas[s].mean())) for s in spans]
