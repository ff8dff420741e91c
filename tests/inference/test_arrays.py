"""segment_arrays, and chunks in memory."""

from __future__ import annotations

import json

import av
import numpy as np
import pytest

import save_avs
from save_avs.errors import UsageError
from save_avs.types import VideoChunk
from tests.support.sample_videos import RATE, BrightWhereLoud, frame, tone_then_silence


def arrays(count: int = 40, size: tuple[int, int] = (96, 64)):
    return np.stack([frame(i, *size) for i in range(count)]), tone_then_silence(count / 10)


def segmented(frames, waveform, **options):
    return save_avs.segment_arrays(frames, waveform, model=BrightWhereLoud(), **options)


def test_array_masks_follow_the_waveform():
    frames, waveform = arrays()
    result = segmented(frames, waveform, sample_rate=RATE, fps=10)
    assert result.masks.shape == (40, 64, 96) and result.masks.dtype == np.bool_
    marked = result.masks.any(axis=(1, 2))
    assert marked[:24].all() and not marked[26:].any()
    target = frames[..., 0] > 0
    assert (result.masks & target)[:20].sum() / (result.masks | target)[:20].sum() > 0.85
    np.testing.assert_allclose(result.times, np.arange(40) / 10)
    assert result.scores.shape == (40,) and (result.scores[:20] > 0.9).all()


def test_masks_do_not_depend_on_the_batch_size():
    frames, waveform = arrays()
    full = segmented(frames, waveform, sample_rate=RATE, fps=10, batch_size=40)
    parts = segmented(frames, waveform, sample_rate=RATE, fps=10, batch_size=3)
    assert parts.video_masks.counts == full.video_masks.counts


def test_uneven_frame_times_are_kept():
    frames, waveform = arrays(4)
    result = segmented(frames, waveform, sample_rate=RATE, times=[0.0, 0.1, 0.15, 0.3])
    assert result.video_masks.times == (0.0, 0.1, 0.15, 0.3)
    assert result.video.duration == pytest.approx(0.4)


def test_arrays_without_waveform_give_empty_masks_and_a_warning():
    result = segmented(arrays()[0], None, fps=10)
    assert not result.masks.any() and result.warnings == ("arrays: has no sound",)


def test_saved_overlay_of_arrays_has_the_waveform(tmp_path):
    frames, waveform = arrays()
    result = segmented(frames, waveform, sample_rate=RATE, fps=10, name="mine")
    folder = result.save(tmp_path / "out")
    assert sorted(p.name for p in folder.iterdir()) == [
        "masks.json", "overlay.mp4", "summary.json", "timeline.png",
    ]  # fmt: skip
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["source"] == "mine" and summary["frames"] == 40
    with av.open(str(folder / "overlay.mp4")) as container:
        assert container.streams.audio and container.streams.video[0].frames == 40


@pytest.mark.parametrize(
    ("frames", "options", "error", "message"),
    [
        pytest.param(arrays(2)[0], {}, UsageError, "fps or times", id="neither-fps-nor-times"),
        pytest.param(
            arrays(2)[0], {"fps": 1, "times": [0, 1]}, UsageError, "fps or times", id="fps-and-times"
        ),
        pytest.param(arrays(2)[0][:0], {"fps": 1}, UsageError, "no frame", id="no-frames"),
        pytest.param(arrays(2)[0].astype(np.float32), {"fps": 1}, ValueError, "uint8", id="float-frames"),
        pytest.param(arrays(2)[0], {"times": [0.0]}, ValueError, "times must", id="too-few-times"),
    ],
)
def test_invalid_arrays_raise(frames, options, error, message):
    with pytest.raises(error, match=message):
        segmented(frames, arrays(2)[1], **options)


def test_predict_batch_fills_batches_across_chunks():
    model = BrightWhereLoud()
    clips = [
        VideoChunk(frames=f, times=np.arange(len(f)) / 10, waveform=w, waveform_start=0.0, sample_rate=RATE)
        for f, w in (arrays(5), arrays(7, (48, 32)), (arrays(3)[0], np.zeros(0, np.float32)))
    ]
    together = save_avs.Predictor(model, batch_size=8).predict_batch(clips)
    assert model.batches == [8, 4]
    for clip, found in zip(clips, together, strict=True):
        alone = save_avs.Predictor(BrightWhereLoud()).predict(clip)
        np.testing.assert_array_equal(found.masks, alone.masks)
        np.testing.assert_allclose(found.scores, alone.scores, atol=1e-6)
    assert save_avs.Predictor(model).predict_batch(clips[2:])[0].masks.shape == (3, 64, 96)
