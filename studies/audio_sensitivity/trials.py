"""One picture under one sound, and what a model made of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from save_avs.evaluation.forward import FrameBatch, run_model
from save_avs.inference.predictor import FrameModel
from save_avs.models.preprocess import postprocess_logits, preprocess_frames
from save_avs.types import F32, U8, Bool

MATCHED, IN_VIEW, ABSENT, OTHER_CLIP = "matched", "another in view", "not in view", "another clip"
MUTED, NOISE = "muted", "faint noise"
SHIFTED, MIXED, MIXED_NOISE, DISTRACTORS = "shifted", "mixed with a sound", "mixed with noise", "distractors"


@dataclass(frozen=True)
class Item:
    """What a frame shows and has as its own sound.

    Attributes:
        name: unique in the study.
        source: what it was taken from: frames of one source are drawn together.
        classes: what sounds in it.
        in_view: things in view, where that is known.
    """

    name: str
    source: str
    classes: tuple[str, ...]
    in_view: int | None = None


@dataclass(frozen=True)
class Trial:
    """One picture under one sound.

    Attributes:
        item: the frame.
        condition: how it is heard.
        level: seconds, decibels or things, where the condition has degrees; 0 elsewhere.
        picture: RGB u8 [H,W,3].
        patch: log-mel of the sound, f32 [96,64].
        own: pixels that sound in the frame's own sound, bool [H,W], some of them True.
        heard: pixels that should be marked under this sound; None where nobody knows.
        sound: the thing that is heard, in words.
    """

    item: Item
    condition: str
    level: float
    picture: U8
    patch: F32
    own: Bool
    heard: Bool | None
    sound: str = ""


@dataclass(frozen=True)
class Answer:
    """What a model made of a trial.

    Attributes:
        item: the frame.
        condition: how it was heard.
        level: the degree of that.
        own: IoU of the mask with what sounds in the frame's own sound.
        heard: IoU of the mask with what should be marked; NaN where that is nothing or not known.
        area: share of the picture that is marked.
    """

    item: Item
    condition: str
    level: float
    own: float
    heard: float
    area: float


def answer(model: FrameModel, trials: Sequence[Trial]) -> list[Answer]:
    """What a model makes of trials about pictures of one size, asked all at once."""
    return [
        Answer(
            trial.item,
            trial.condition,
            trial.level,
            own=_iou(mask, trial.own),
            heard=float("nan") if trial.heard is None else _iou(mask, trial.heard),
            area=float(mask.mean()),
        )
        for trial, mask in zip(trials, masks(model, trials), strict=True)
    ]


def masks(model: FrameModel, trials: Sequence[Trial]) -> list[Bool]:
    """What a model marks in each trial, bool [H,W] at the picture's size."""
    batch = FrameBatch(
        images=torch.cat(
            [preprocess_frames(t.picture[None], model.image_size, model.resize) for t in trials]
        ),
        log_mel=torch.from_numpy(np.stack([t.patch for t in trials])).unsqueeze(1),
        features=None,
        targets=tuple(t.own for t in trials),
        labels=(None,) * len(trials),
        clips=(0,) * len(trials),
        positions=tuple(range(len(trials))),
    )
    logits, _ = run_model(model, batch)
    height, width = trials[0].own.shape
    return [(postprocess_logits(one, height, width, model.resize) > 0).cpu().numpy() for one in logits]


def _iou(mask: Bool, truth: Bool) -> float:
    """NaN where nothing is to be marked."""
    return float((mask & truth).sum() / (mask | truth).sum()) if truth.any() else float("nan")
