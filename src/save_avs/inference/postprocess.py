"""Logits of a model to masks at the size of the video, computed only where a mask can be."""

import math
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from save_avs.inference.objects import find_objects
from save_avs.models.save import Resize
from save_avs.types import F64, FrameObjects


class LogitSmoother:
    """A low-pass filter over the logits of one video: ``s += (1 - exp(-dt / seconds)) * (logits - s)``.

    ``dt`` is the time since the frame before, so that the frame rate does not matter. The first frame is
    taken as it is. With ``seconds`` of 0 there is no smoothing.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._last: tuple[Tensor, float] | None = None

    def __call__(self, logits: Tensor, times: F64) -> Tensor:
        """Smooth the logits of the next frames, [N,M,M], shown at ``times``, f64 [N]."""
        if not self._seconds or not len(times):
            return logits
        smoothed = logits.float().clone()
        for current, time in zip(smoothed, times.tolist(), strict=True):
            if self._last is not None:
                before, shown = self._last
                current.lerp_(before, math.exp((shown - time) / self._seconds))
            self._last = current, time
        self._last = smoothed[-1].clone(), float(times[-1])  # not a view, which would keep the whole chunk
        return smoothed


def upscale_and_threshold(
    logits: Tensor,
    height: int,
    width: int,
    *,
    resize: Resize,
    min_logit: float = 0.0,
    separate: bool = False,
) -> tuple[Tensor, Tensor, list[FrameObjects]]:
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
        separate: also find the objects of each mask.

    Returns:
        Masks, bool [B,H,W]; scores, f32 [B]: the mean probability inside each mask, 0 where it is empty; and
        the objects of each, if they are to be found.
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
    objects: list[FrameObjects] = []
    for i, (y, x) in enumerate(boxes):
        part = rows[y] @ logits[i] @ columns[x].T
        inside = torch.gt(part, min_logit, out=masks[i, y, x])
        probability = part.sigmoid()
        scores[i] = (probability * inside).sum() / inside.sum().clamp(min=1)
        if separate:
            arrays = inside.cpu().numpy(), probability.cpu().numpy()
            objects.append(find_objects(*arrays, corner=(y.start, x.start), size=(height, width)))
    return masks, scores, objects


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
