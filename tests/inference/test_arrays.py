"""segment_arrays, and chunks in memory."""

from __future__ import annotations

import json

import av
import numpy as np
import pytest
import torch

import save_avs
from save_avs.errors import UsageError
from save_avs.inference.arrays import make_chunk
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
        pytest.param(arrays(2)[0], {"times": [0.0]}, UsageError, "times must", id="too-few-times"),
        pytest.param(arrays(2)[0], {"times": [1.0, 0.5]}, UsageError, "times must increase", id="times-back"),
        pytest.param(arrays(2)[0], {"times": [0.0, np.nan]}, UsageError, "times has values", id="nan-times"),
        pytest.param(arrays(2)[0], {"fps": -1}, UsageError, "fps must", id="negative-fps"),
        pytest.param(
            arrays(2)[0], {"fps": 1, "sample_rate": 1}, UsageError, "sample_rate must be 100", id="rate-1"
        ),
        pytest.param(
            arrays(2)[0], {"fps": 1, "sample_rate": 1e12}, UsageError, "sample_rate must", id="rate-1e12"
        ),
        pytest.param(arrays(2)[0], {"fps": "fast"}, UsageError, "fps must", id="fps-text"),
        pytest.param(
            arrays(2)[0], {"fps": 1, "sample_rate": 0}, UsageError, "sample_rate must", id="no-sample-rate"
        ),
        pytest.param(arrays(2)[0] - 300.0, {"fps": 1}, UsageError, "from -300 to", id="negative-frames"),
        pytest.param(arrays(2)[0] * np.nan, {"fps": 1}, UsageError, "NaN", id="nan-frames"),
        pytest.param(arrays(2)[0][..., 0], {"fps": 1}, UsageError, "4 axes", id="gray-frames"),
        pytest.param(arrays(2)[0][..., :2], {"fps": 1}, UsageError, "must be RGB", id="two-channels"),
        pytest.param([[[["a"]]]], {"fps": 1}, UsageError, "must be numbers", id="text-frames"),
        pytest.param([[[[1, 2, 3]]], [[[1], [2]]]], {"fps": 1}, UsageError, "axes|array", id="ragged-frames"),
        pytest.param(7, {"fps": 1}, UsageError, "no frames", id="a-number"),
    ],
)
def test_invalid_arrays_raise(frames, options, error, message):
    with pytest.raises(error, match=message):
        segmented(frames, arrays(2)[1], **options)


@pytest.mark.parametrize(
    ("waveform", "message"),
    [
        pytest.param(np.array([0, np.nan]), "NaN", id="nan"),
        pytest.param(np.array([0, np.inf]), "NaN or infinite", id="infinite"),
        pytest.param(np.zeros((2, 2, 2)), "1 or 2 axes", id="three-axes"),
        pytest.param(np.zeros((40, 50)), r"must be \[S\]", id="forty-channels"),
        pytest.param(np.zeros(9, bool), "not bool", id="bool"),
        pytest.param(["a"], "must be numbers", id="text"),
        pytest.param(np.zeros(9, complex), "must be numbers", id="complex"),
    ],
)
def test_invalid_waveforms_raise(waveform, message):
    with pytest.raises(UsageError, match=message):
        segmented(arrays(2)[0], waveform, fps=10)


FRAME_FORMS = {
    "list": list,
    "nested list": lambda frames: frames.tolist(),
    "int64": lambda frames: frames.astype(np.int64),
    "uint16": lambda frames: frames.astype(np.uint16) * 257,
    "float 0..255": lambda frames: frames.astype(np.float64),
    "float 0..1": lambda frames: frames.astype(np.float16) / 255,
    "tensor": torch.from_numpy,
    "tensor of channels first": lambda frames: torch.from_numpy(frames).permute(0, 3, 1, 2),
    "bfloat16": lambda frames: torch.from_numpy(frames).bfloat16() / 255,
    "list of tensors": lambda frames: [torch.from_numpy(frame) for frame in frames],
    "view": np.asfortranarray,
}


@pytest.mark.parametrize("form", FRAME_FORMS)
def test_frames_of_any_form_give_the_same_masks(form):
    frames, waveform = arrays(5)
    same = segmented(FRAME_FORMS[form](frames), waveform, fps=10)
    assert same.video_masks.counts == segmented(frames, waveform, fps=10).video_masks.counts
    assert same.masks.any()


def whole(waveform, kind):
    return np.rint(waveform * np.iinfo(kind).max).astype(kind)


SOUND_FORMS = {
    "list": lambda wave: wave.tolist(),
    "float64": lambda wave: wave.astype(np.float64),
    "float16": lambda wave: wave.astype(np.float16),
    "int16": lambda wave: whole(wave, np.int16),
    "int32": lambda wave: whole(wave.astype(np.float64), np.int32),
    "int8": lambda wave: whole(wave, np.int8),
    "uint8": lambda wave: (whole(wave, np.int8).astype(int) + 128).astype(np.uint8),
    "list of integers": lambda wave: whole(wave, np.int16).tolist(),
    "[S,1]": lambda wave: wave[:, None],
    "[S,2]": lambda wave: np.stack([1.5 * wave, 0.5 * wave], axis=1),
    "[2,S]": lambda wave: np.stack([1.5 * wave, 0.5 * wave]),
    "tensor [1,S]": lambda wave: torch.from_numpy(wave)[None],
    "tensor with a gradient": lambda wave: torch.from_numpy(wave).requires_grad_(),
}


@pytest.mark.parametrize("form", SOUND_FORMS)
def test_waveforms_of_any_form_are_the_same_sound(form):
    frames, waveform = arrays(4)
    chunk = make_chunk(frames, SOUND_FORMS[form](waveform), fps=10, times=None, sample_rate=RATE)
    assert chunk.waveform.dtype == np.float32 and chunk.waveform.shape == waveform.shape
    np.testing.assert_allclose(chunk.waveform, waveform, atol=0.01)


def test_waveform_beyond_its_range_gives_a_warning():
    frames, waveform = arrays(4)
    (warning,) = segmented(frames, 32768 * waveform, fps=10).warnings
    assert warning == "arrays: the waveform reaches 1.64e+04: floats should be in -1..1"
    assert not segmented(frames, waveform, fps=10).warnings


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


def test_frames_far_apart_do_not_take_memory_for_the_time_between():
    times = [0.0, 1.0, 1e9, 1e9 + 1]
    result = segmented(*arrays(4), sample_rate=RATE, times=times)
    assert list(result.times) == times
