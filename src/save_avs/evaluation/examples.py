"""The best, median and worst clips of an evaluation, and a contact sheet of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from save_avs.datasets.base import AVDataset
from save_avs.evaluation.forward import single_frame_batch
from save_avs.evaluation.predictions import MaskSource
from save_avs.metrics.frame_scores import mask_ious
from save_avs.metrics.mask_metrics import FrameTable
from save_avs.models.preprocess import MASK_THRESHOLD
from save_avs.types import U8, Bool
from save_avs.visualization.contact_sheet import TARGET_LEGEND, Tile, draw_contact_sheet
from save_avs.visualization.overlay import TARGET_COLOR, draw_mask

EXAMPLES_PER_KIND = 4


@dataclass(frozen=True)
class ExampleFrame:
    """A frame of the contact sheet: u8 [H,W,3], with its target and predicted mask, bool [H,W].

    ``kind`` is best, median or worst; ``name`` is the clip's.
    """

    kind: str
    name: str
    iou: float
    frame: U8
    target: Bool
    pred: Bool


def pick_examples(source: MaskSource, clips: AVDataset, table: FrameTable) -> tuple[ExampleFrame, ...]:
    """Choose the clips of the contact sheet, and of each the frame nearest to the clip's mean IoU.

    Clips with a sounding object come first: an empty mask of a silent clip is right and shows nothing. The
    predictions are computed again, not kept, so memory stays bounded.
    """
    candidates = table.take(table.sounding) if table.sounding.any() else table
    rows, frame_ious = candidates.by_clip(), mask_ious(candidates.counts)
    means = rows.iou / rows.frames
    order = np.argsort(-means, kind="stable")
    examples = []
    for kind, ranks in _ranks_by_kind(len(order)).items():
        for rank in ranks:
            clip = int(rows.clips[order[rank]])
            frames = np.flatnonzero(candidates.clips == clip)
            nearest = frames[np.abs(frame_ious[frames] - means[order[rank]]).argmin()]
            examples.append(_predict_example(source, clips, clip, int(candidates.positions[nearest]), kind))
    return tuple(examples)


def _ranks_by_kind(count: int) -> dict[str, range]:
    """Ranks in the order from best to worst; of few clips each is shown once."""
    if count < 3:
        return {"best": range(count)}
    each = min(EXAMPLES_PER_KIND, count // 3)
    starts = {"best": 0, "median": (count - each) // 2, "worst": count - each}
    return {kind: range(start, start + each) for kind, start in starts.items()}


def _predict_example(
    source: MaskSource, clips: AVDataset, clip: int, position: int, kind: str
) -> ExampleFrame:
    sample = clips[clip]
    size = source.image_size if source.reads_images else None
    batch = single_frame_batch(sample, clip, position, image_size=size, resize=source.resize)
    target = sample.masks[position]
    shape = (target.shape[0], target.shape[1])
    values, are_probabilities = source.predict(batch, labels=False).masks_at([0], shape, shape)
    pred = (values[0] > (MASK_THRESHOLD if are_probabilities else 0)).cpu().numpy()
    union = (pred | target).sum()
    iou = float((pred & target).sum() / union) if union else 1.0
    return ExampleFrame(kind, sample.name, iou, sample.frames[position], target, pred)


def draw_examples(path: str | Path, examples: Sequence[ExampleFrame], title: str) -> None:
    """Write a PNG: one row of clips per kind, each frame with its target and its prediction."""
    tiles = [
        Tile(
            (draw_mask(example.frame, example.target, TARGET_COLOR), draw_mask(example.frame, example.pred)),
            (f"{example.kind}: IoU of this frame {100 * example.iou:.1f} %", example.name),
        )
        for example in examples
    ]
    per_kind = sum(example.kind == examples[0].kind for example in examples)
    draw_contact_sheet(path, tiles, title=title, columns=per_kind, legend=TARGET_LEGEND)
