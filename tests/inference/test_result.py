from __future__ import annotations

import numpy as np
import pytest

from save_avs.inference.result import SoundingSpan, find_sounding_spans
from save_avs.types import VideoMasksBuilder


def video_masks(areas: list[float], fps: float = 10):
    """Masks of 100 x 100 pixels that cover these shares of the picture."""
    builder = VideoMasksBuilder((100, 100))
    for i, area in enumerate(areas):
        mask = np.zeros(10_000, dtype=bool)
        mask[: round(area * 10_000)] = True
        builder.add(mask.reshape(100, 100), index=i, time=i / fps, score=0.9)
    return builder.build()


def test_frames_join_into_spans():
    spans = find_sounding_spans(video_masks([0, 0.1, 0.3, 0, 0, 0, 0, 0.2]))
    assert spans == [
        SoundingSpan(0.1, pytest.approx(0.3), pytest.approx(0.2)),
        SoundingSpan(0.7, pytest.approx(0.8), 0.2),
    ]


def test_short_pauses_do_not_end_a_span():
    (span,) = find_sounding_spans(video_masks([0.1, 0, 0, 0.1]))
    assert (span.start, span.end) == (0, pytest.approx(0.4))
    assert span.area == pytest.approx(0.1)


def test_specks_are_no_span():
    assert find_sounding_spans(video_masks([0.0005] * 5)) == []


def test_one_frame_and_none():
    assert find_sounding_spans(video_masks([0.5])) == [SoundingSpan(0, 0, 0.5)]
    assert find_sounding_spans(video_masks([])) == []
