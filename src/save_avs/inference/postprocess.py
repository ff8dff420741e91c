"""Logits of a model to masks at the size of the video, computed only where a mask can be."""

from __future__ import annotations

from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from save_avs.models.save import Resize


def upscale_and_threshold(
    logits: Tensor, height: int, width: int, *, resize: Resize, min_logit: float = 0.0
) -> tuple[Tensor, Tensor]:
    """Upscale a batch of logits to the frames of a video, as `postprocess_logits` does, and threshold them.

    Bilinear upscaling is linear: ``rows @ logits @ columns``, with two weights for each row and column of the
    frame. A weighted mean is never above the values it averages, so rows and columns that touch no cell above
    the threshold are skipped.

    Args:
        logits: any float type, [B,M,M].
        height: of the frames.
        width: of the frames.
        resize: how a frame became the model's square input.
        min_logit: pixels with a higher logit are marked.

    Returns:
        Masks, bool [B,H,W], and scores, f32 [B]: the mean probability inside each mask, 0 where it is empty.
    """
    logits = logits.float()
    side, device = logits.shape[1], str(logits.device)
    full_height, full_width = (height, width) if resize == "squash" else (max(height, width),) * 2
    rows = _weights(side, full_height, device)[:height]
    columns = _weights(side, full_width, device)[:width]
    cells = logits > min_logit  # [B,M,M]
    boxes = zip(_extents(cells.any(2), rows), _extents(cells.any(1), columns), strict=True)
    masks = cells.new_zeros((len(logits), height, width))
    scores = logits.new_zeros(len(logits))
    for i, (y, x) in enumerate(boxes):
        part = rows[y] @ logits[i] @ columns[x].T
        inside = torch.gt(part, min_logit, out=masks[i, y, x])
        scores[i] = (part.sigmoid() * inside).sum() / inside.sum().clamp(min=1)
    return masks, scores


@lru_cache(maxsize=8)
def _weights(side: int, size: int, device: str) -> Tensor:
    """Interpolation weights of ``size`` points over ``side`` cells, f32 [size,side]."""
    cells = torch.eye(side, device=device)[None]
    return F.interpolate(cells, size=size, mode="linear", align_corners=False)[0].T


def _extents(cells: Tensor, weights: Tensor) -> list[slice]:
    """From the first to the last point with weight on a set cell, bool [B,M]; empty where none is set."""
    touched = (cells.float() @ weights.T > 0).int()  # [B,N]
    starts = touched.argmax(1)
    stops = (touched.shape[1] - touched.flip(1).argmax(1)) * touched.amax(1)
    return [slice(start, stop) for start, stop in torch.stack([starts, stops], dim=1).tolist()]
