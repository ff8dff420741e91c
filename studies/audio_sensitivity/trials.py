"""Trials: pairs of a frame and a sound, and a model's scores on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from save_avs.evaluation.forward import FrameBatch, run_model
from save_avs.inference.predictor import FrameModel
from save_avs.models.preprocess import postprocess_logits, preprocess_frames
from save_avs.types import F32, U8, Bool

# Conditions: the sound that a frame is paired with.
MATCHED, IN_VIEW, ABSENT, OTHER_CLIP = "matched", "another in view", "not in view", "another clip"
MUTED, NOISE = "muted", "faint noise"
SHIFTED, MIXED, MIXED_NOISE, DISTRACTORS = "shifted", "mixed with a sound", "mixed with noise", "distractors"


@dataclass(frozen=True)
class TestFrame:
    """A frame with its own sound.

    Attributes:
        name: unique in the study.
        source: its clip or scene; frames of one source are resampled together.
        classes: of the sounding objects.
        in_view: number of objects in view, where it is known.
    """

    __test__ = False  # no test case for pytest

    name: str
    source: str
    classes: tuple[str, ...]
    in_view: int | None = None


@dataclass(frozen=True)
class SensitivityTrial:
    """A frame under one sound.

    Attributes:
        frame: the frame.
        condition: of the sound.
        level: seconds, decibels or objects, where the condition has levels; else 0.
        image: RGB u8 [H,W,3].
        log_mel: of the sound, f32 [frames,bands].
        own_target: pixels that sound in the frame's own sound, bool [H,W], some of them True.
        target: pixels that should be marked under this sound; None where it is not known.
        description: of the sound.
    """

    frame: TestFrame
    condition: str
    level: float
    image: U8
    log_mel: F32
    own_target: Bool
    target: Bool | None
    description: str = ""


@dataclass(frozen=True)
class SensitivityScore:
    """A model's score in a trial.

    Attributes:
        frame: the frame.
        condition: of the sound.
        level: of the condition.
        own_iou: IoU of the mask with the pixels that sound in the frame's own sound.
        iou: IoU of the mask with the target; NaN where that is empty or not known.
        area: share of the frame that is marked.
    """

    frame: TestFrame
    condition: str
    level: float
    own_iou: float
    iou: float
    area: float


def score_trials(model: FrameModel, trials: Sequence[SensitivityTrial]) -> list[SensitivityScore]:
    """Score a model on trials with frames of one size, as one batch."""
    return [
        SensitivityScore(
            trial.frame,
            trial.condition,
            trial.level,
            own_iou=_iou(mask, trial.own_target),
            iou=float("nan") if trial.target is None else _iou(mask, trial.target),
            area=float(mask.mean()),
        )
        for trial, mask in zip(trials, predict_masks(model, trials), strict=True)
    ]


def predict_masks(model: FrameModel, trials: Sequence[SensitivityTrial]) -> list[Bool]:
    """Return the mask of each trial, bool [H,W] at the frame's size."""
    batch = FrameBatch(
        images=torch.cat([preprocess_frames(t.image[None], model.image_size, model.resize) for t in trials]),
        log_mel=torch.from_numpy(np.stack([t.log_mel for t in trials])).unsqueeze(1),
        features=None,
        targets=tuple(t.own_target for t in trials),
        labels=(None,) * len(trials),
        clips=(0,) * len(trials),
        positions=tuple(range(len(trials))),
    )
    logits, _ = run_model(model, batch)
    height, width = trials[0].own_target.shape
    return [(postprocess_logits(one, height, width, model.resize) > 0).cpu().numpy() for one in logits]


def _iou(mask: Bool, target: Bool) -> float:
    return float((mask & target).sum() / (mask | target).sum()) if target.any() else float("nan")
