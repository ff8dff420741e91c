from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from save_avs.errors import MediaError, UsageError
from save_avs.inference.predictor import Predictor
from save_avs.types import VideoChunk
from tests.support.sample_videos import RATE, BrightWhereLoud, frame, tone_then_silence


def clip(count: int, *, first: int = 0, size: tuple[int, int] = (96, 64), sound: bool = True) -> VideoChunk:
    """Frames of ten a second with four seconds of sound that falls silent after two."""
    waveform = tone_then_silence(4.0) if sound else np.zeros(0, dtype=np.float32)
    return VideoChunk(
        frames=np.stack([frame(first + i, *size) for i in range(count)]),
        times=(first + np.arange(count)) / 10,
        waveform=waveform,
        waveform_start=0.0,
        sample_rate=RATE,
        first_index=first,
    )


def test_each_frame_uses_the_sound_around_its_own_time():
    prediction = Predictor(BrightWhereLoud()).predict(clip(40))
    marked = prediction.masks.any(axis=(1, 2))
    assert marked[:24].all()  # a patch reaches 0.48 s to both sides
    assert not marked[26:].any()
    assert prediction.masks.shape == (40, 64, 96) and prediction.masks.dtype == np.bool_


def test_each_mask_belongs_to_its_frame():
    prediction = Predictor(BrightWhereLoud()).predict(clip(20))
    for i in range(20):
        target = frame(i, 96, 64)[:, :, 0] > 0
        mask = prediction.masks[i]
        assert (mask & target).sum() / (mask | target).sum() > 0.85


def test_scores_are_the_mean_probability_inside_the_mask():
    class Half(BrightWhereLoud):
        def forward(self, images, log_mel):
            logits = torch.full((len(images), 1, 16, 16), -9.0)
            logits[:, :, :, 8:] = 2.0
            logits[1:] = -9.0  # the second frame is empty
            return logits

    prediction = Predictor(Half()).predict(clip(2))
    full = torch.nn.functional.interpolate(
        Half()(torch.zeros(1, 3, 64, 64), None), size=(64, 96), mode="bilinear"
    )
    inside = torch.sigmoid(full[full > 0]).mean()
    assert prediction.scores[0] == pytest.approx(float(inside), abs=1e-6)
    assert prediction.scores[1] == 0
    assert not prediction.masks[1].any()


def test_higher_threshold_marks_fewer_pixels():
    class Steps(BrightWhereLoud):
        def forward(self, images, log_mel):
            probabilities = torch.full((len(images), 1, 16, 16), 0.3)
            probabilities[:, :, :8] = 0.8
            return torch.logit(probabilities)

    areas = [Predictor(Steps(), threshold).predict(clip(1)).masks.mean() for threshold in (0.2, 0.5, 0.9)]
    assert areas[0] == 1 and 0.4 < areas[1] < 0.6 and areas[2] == 0


def test_prediction_does_not_depend_on_the_batch_size():
    model = BrightWhereLoud()
    full = Predictor(model, batch_size=40).predict(clip(24))
    parts = Predictor(model, batch_size=7).predict(clip(24))
    assert model.batches == [24, 7, 7, 7, 3]
    np.testing.assert_array_equal(full.masks, parts.masks)
    np.testing.assert_allclose(full.scores, parts.scores, atol=1e-6)


def test_chunk_without_sound_skips_the_model():
    model = BrightWhereLoud()
    prediction = Predictor(model).predict(clip(3, sound=False))
    assert model.batches == []
    assert not prediction.masks.any() and not prediction.scores.any()


def test_frames_in_digital_silence_skip_the_model():
    class MarksAll(BrightWhereLoud):
        def forward(self, images, log_mel):
            self.batches.append(len(images))
            return images.new_full((len(images), 1, 16, 16), 5).float()

    model = MarksAll()
    prediction = Predictor(model, batch_size=16).predict(clip(40))
    marked = prediction.masks.any(axis=(1, 2))
    audible = int(marked.sum())
    assert marked[:audible].all() and 24 <= audible <= 26  # what reaches into the first two seconds
    assert model.batches == [16, audible - 16]
    assert (prediction.scores[:audible] > 0.9).all() and not prediction.scores[audible:].any()


def test_quietest_16_bit_sound_reaches_the_model():
    model = BrightWhereLoud()
    quiet = clip(4)
    step = np.float32(2**-15)  # of 16-bit sound
    Predictor(model).predict(
        replace(quiet, waveform=step * (np.arange(len(quiet.waveform)) % 2).astype(np.float32))
    )
    assert model.batches == [4]


def test_predictions_are_yielded_chunk_by_chunk():
    def clips():
        yield clip(2)
        raise AssertionError("read ahead")

    first = next(iter(Predictor(BrightWhereLoud())(clips())))
    assert len(first.chunk) == 2


def test_change_of_frame_size_raises_media_error():
    clips = [clip(2), clip(2, first=2, size=(48, 48))]
    with pytest.raises(MediaError, match=r"from 96x64 to 48x48 at 0.20 s"):
        list(Predictor(BrightWhereLoud())(clips))


def test_bf16_runs_under_autocast():
    class Sees(BrightWhereLoud):
        precision = "bf16"

        def forward(self, images, log_mel):
            self.seen = (torch.ones(2, 2) @ torch.ones(2, 2)).dtype
            return super().forward(images, log_mel).bfloat16()

    model = Sees()
    Predictor(model).predict(clip(2))
    assert model.seen == torch.bfloat16


@pytest.mark.parametrize("threshold", [0, 1, -1, 2, float("nan")])
def test_threshold_out_of_range_raises_usage_error(threshold):
    with pytest.raises(UsageError, match="threshold"):
        Predictor(BrightWhereLoud(), threshold)


def test_batch_size_below_one_raises_usage_error():
    with pytest.raises(UsageError, match="batch"):
        Predictor(BrightWhereLoud(), batch_size=0)


class Scripted(BrightWhereLoud):
    """Logits that the script gives for each frame, whatever is in it."""

    def __init__(self, logits: list[float]) -> None:
        super().__init__()
        self.logits = logits

    def forward(self, images, log_mel):
        values, self.logits = self.logits[: len(images)], self.logits[len(images) :]
        return torch.tensor(values).view(-1, 1, 1, 1).expand(-1, 1, 16, 16).clone()


def chunks_at(times: np.ndarray, per_chunk: int) -> list[VideoChunk]:
    parts = [times[i : i + per_chunk] for i in range(0, len(times), per_chunk)]
    sound = tone_then_silence(8.0)
    return [VideoChunk(np.zeros((len(t), 8, 8, 3), np.uint8), t, sound, 0.0, RATE) for t in parts]


@pytest.mark.parametrize("per_chunk", [1, 4, 50])
@pytest.mark.parametrize("rate", [5, 20, 30, "irregular"])
def test_smoothing_is_a_low_pass_filter_at_any_rate(rate, per_chunk):
    """A step from -4 to 4 at 1 s, with a time constant of 0.5 s: 4 - 8 exp(-t / 0.5)."""
    times = np.arange(0, 3, 1 / 20) if rate == "irregular" else np.arange(0, 3, 1 / rate)
    if rate == "irregular":
        times = times[np.random.default_rng(0).random(len(times)) > 0.4]
    before = times[times <= 1].max()  # the last frame before the step
    predictor = Predictor(Scripted([-4.0 if time <= 1 else 4.0 for time in times]), smooth=0.5)
    predictions = list(predictor(chunks_at(times, per_chunk)))
    scores = np.concatenate([prediction.scores for prediction in predictions])
    expected = 4 - 8 * np.exp(-(times - before) / 0.5)
    marked = np.concatenate([prediction.masks.all(axis=(1, 2)) for prediction in predictions])
    np.testing.assert_array_equal(marked, (times > 1) & (expected > 0))
    np.testing.assert_allclose(scores[marked], 1 / (1 + np.exp(-expected[marked])), atol=1e-5)


def test_videos_are_smoothed_and_tracked_apart():
    predictor = Predictor(Scripted([4.0] * 5 + [-4.0] * 5 + [4.0]), smooth=5.0, track=True)
    first, second, third = (next(predictor(chunks_at(np.arange(n) / 10, n))) for n in (5, 5, 1))
    assert first.masks.all() and not second.masks.any() and third.masks.all()
    assert [[each.id for each in frame] for frame in third.objects or ()] == [[1]]


def test_objects_cover_the_mask_and_keep_their_ids():
    plain = Predictor(BrightWhereLoud()).predict(clip(20))
    tracked = list(Predictor(BrightWhereLoud(), track=True)([clip(10), clip(10, first=10)]))
    assert plain.objects is None
    objects = [frame for prediction in tracked for frame in prediction.objects or ()]
    for i, frame_objects in enumerate(objects):
        (found,) = frame_objects
        np.testing.assert_array_equal(found.mask, plain.masks[i])
        assert found.id == 1 and found.score == pytest.approx(float(plain.scores[i]), abs=1e-5)


def test_silent_frames_have_no_objects():
    prediction = Predictor(BrightWhereLoud(), objects=True).predict(clip(40))
    assert prediction.objects is not None and [len(each) for each in prediction.objects[-14:]] == [0] * 14


@pytest.mark.parametrize("smooth", [-0.1, float("nan"), float("inf"), 11])
def test_smoothing_out_of_range_raises_usage_error(smooth):
    with pytest.raises(UsageError, match="smooth must be 0 to 10 seconds"):
        Predictor(BrightWhereLoud(), smooth=smooth)
