"""Whether two ways to compute a model mark the same pixels."""

from __future__ import annotations

import torch
from torch import Tensor

MIN_MASK_AGREEMENT = 0.99  # mean IoU with float32's masks from which on two computations count as the same


def mask_agreement(logits: Tensor, others: Tensor) -> float:
    """Mean IoU over frames of the masks of two logits [N,1,M,M]; two empty masks agree."""
    one, other = logits.flatten(1) > 0, others.flatten(1) > 0
    union = (one | other).sum(1)
    return float(torch.where(union > 0, (one & other).sum(1) / union.clamp(min=1), 1.0).mean())
