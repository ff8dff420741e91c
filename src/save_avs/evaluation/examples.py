"""The best, the median and the worst clips, run again to be looked at."""

from __future__ import annotations

import numpy as np

from save_avs.datasets.base import AVDataset
from save_avs.evaluation.forward import run_model
from save_avs.evaluation.frames import frames_of, stack
from save_avs.evaluation.results import Example
from save_avs.inference.predictor import FrameModel
from save_avs.metrics.frame_scores import mask_ious
from save_avs.metrics.mask_metrics import FrameTable
from save_avs.models.preprocess import postprocess_logits
from save_avs.types import F64

EACH = 4  # clips of a kind


def pick_examples(model: FrameModel, clips: AVDataset, table: FrameTable) -> tuple[Example, ...]:
    """Draw the clips that a contact sheet shows, the frame of each that is nearest to the clip's mean IoU.

    Clips in which something sounds come first: an empty mask of a silent clip is right and shows nothing.
    The predictions are made again instead of being kept: memory stays bounded.

    Args:
        model: as it was evaluated.
        clips: what it was evaluated on.
        table: what single frames scored.
    """
    wanted = table.where(table.sounding) if table.sounding.any() else table
    rows, frame_ious = wanted.by_clip(), mask_ious(wanted.counts)
    means = rows.iou / rows.frames
    order = np.argsort(-means, kind="stable")
    examples = []
    for kind, places in _kinds(len(order)).items():
        for place in places:
            clip = int(rows.clips[order[place]])
            position = _nearest(wanted, frame_ious, clip, float(means[order[place]]))
            examples.append(_example(model, clips, clip, position, kind))
    return tuple(examples)


def _kinds(count: int) -> dict[str, range]:
    """Places in the order from best to worst; few clips are shown once each."""
    each = min(EACH, max(1, count // 3))
    middle = (count - each) // 2
    kinds = {
        "best": range(min(each, count)),
        "median": range(middle, middle + each),
        "worst": range(count - each, count),
    }
    return kinds if count >= 3 else {"best": range(count)}


def _nearest(table: FrameTable, frame_ious: F64, clip: int, mean: float) -> int:
    rows = np.flatnonzero(table.clips == clip)
    return int(table.positions[rows[np.abs(frame_ious[rows] - mean).argmin()]])


def _example(model: FrameModel, clips: AVDataset, clip: int, position: int, kind: str) -> Example:
    sample = clips[clip]
    batch = stack(frames_of(sample, clip, [position], side=model.image_size, resize=model.resize))
    logits, _ = run_model(model, batch)
    picture, truth = sample.frames[position], sample.masks[position]
    height, width = truth.shape
    found = (postprocess_logits(logits[0], height, width, model.resize) > 0).cpu().numpy()
    both, either = (found & truth).sum(), (found | truth).sum()
    return Example(kind, sample.name, float(both / either) if either else 1.0, picture, truth, found)
