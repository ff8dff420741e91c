"""Resizing as matrix products: what every runtime computes, for pictures of any size."""

from __future__ import annotations

import torch
from torch import Tensor


def downscale_matrix(points: Tensor, size: Tensor, side: int) -> Tensor:
    """What each of ``side`` cells takes from a line of points: ``F.interpolate(antialias=True)``.

    Args:
        points: 0, 1, ... N-1 as f32 [N].
        size: how many of the cells the line becomes; those after them take nothing.
        side: cells.

    Returns:
        f32 [side,N]; each row sums to one, or to zero.
    """
    cells = torch.arange(side, dtype=torch.float32)
    step = (points.amax(0) + 1) / size
    distance = points + 0.5 - ((cells + 0.5) * step)[:, None]  # [side,N]
    weights = (1 - distance.abs() / step.clamp(min=1)).clamp(min=0) * (cells < size)[:, None]
    return weights / weights.sum(1, keepdim=True).clamp(min=1e-6)


def upscale_matrix(points: Tensor, size: Tensor, side: int) -> Tensor:
    """What each of a line's points takes from ``side`` cells: ``F.interpolate(align_corners=False)``.

    Args:
        points: 0, 1, ... N-1 as f32 [N].
        size: how many points all cells make; the N come first among them.
        side: cells.

    Returns:
        f32 [N,side]; each row sums to one.
    """
    cells = torch.arange(side, dtype=torch.float32)
    places = ((points + 0.5) * (side / size) - 0.5).clamp(0, side - 1)
    return (1 - (places[:, None] - cells).abs()).clamp(min=0)
