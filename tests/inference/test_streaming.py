"""Frames with their masks, one by one."""

from __future__ import annotations

import threading

import numpy as np
import pytest

import save_avs
from save_avs.errors import UsageError
from tests.support.sample_videos import BrightWhereLoud


def test_stream_of_a_file_equals_segment(video):
    result = save_avs.segment(video, model=BrightWhereLoud())
    frames = list(save_avs.stream(video, model=BrightWhereLoud(), chunk=7))
    assert [frame.index for frame in frames] == list(result.video_masks.indices)
    np.testing.assert_array_equal(np.stack([frame.mask for frame in frames]), result.masks)
    np.testing.assert_allclose([frame.score for frame in frames], result.scores, atol=1e-6)
    np.testing.assert_allclose([frame.time for frame in frames], result.times)
    assert frames[0].image.shape == (64, 96, 3)


def test_stream_smooths_and_tracks_as_segment_does(video):
    options = {"smooth": 0.3, "track": True}
    result = save_avs.segment(video, model=BrightWhereLoud(), **options)
    plain = save_avs.segment(video, model=BrightWhereLoud())
    frames = list(save_avs.stream(video, model=BrightWhereLoud(), chunk=7, **options))
    np.testing.assert_array_equal(np.stack([frame.mask for frame in frames]), result.masks)
    assert (result.masks != plain.masks).any()
    assert [frame.objects for frame in frames] == [frame.objects for frame in result]
    assert {each.id for frame in frames for each in frame.objects or ()} == {1}
    assert all(frame.objects is None for frame in plain)


def test_closing_the_stream_stops_its_threads(video):
    before = threading.active_count()
    frames = save_avs.stream(video, model=BrightWhereLoud())
    next(frames)
    frames.close()
    assert threading.active_count() == before


def test_live_source_is_masked_while_it_sounds():
    """White frames; a tone for the first second."""
    frame = "color=white:size=32x24:rate=10:duration=2,format=yuv420p[out0]"
    sound = "sine=duration=1,volume=12dB,apad=whole_dur=3[out1]"
    frames = list(save_avs.stream(f"lavfi:{frame};{sound}", model=BrightWhereLoud(), chunk=4))
    assert [frame.index for frame in frames] == list(range(20))
    marked = [bool(frame.mask.any()) for frame in frames]
    assert all(marked[:13]) and not any(marked[16:])
    assert frames[0].score > 0.9 and frames[-1].score == 0


def test_wrong_options_are_refused_by_the_call(video):
    with pytest.raises(UsageError, match="threshold"):
        save_avs.stream(video, model=BrightWhereLoud(), threshold=2)
    with pytest.raises(UsageError, match="tone_map"):
        save_avs.stream(video, model=BrightWhereLoud(), tone_map="on")
    with pytest.raises(UsageError, match="no such file"):
        save_avs.stream("missing.mp4", model=BrightWhereLoud())
