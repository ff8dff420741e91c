"""The protocols as a metric of torchmetrics, for training loops that are not ours.

Needs the extra ``torchmetrics``.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from save_avs._extras import require
from save_avs.errors import UsageError
from save_avs.evaluation.forward import comparison_shape, resize_logits, resize_target
from save_avs.metrics.mask_metrics import METRIC_NAMES, FrameTable, MaskMetric, score_clips
from save_avs.metrics.protocols import get_protocols

require("torchmetrics", "torchmetrics")

from torchmetrics import Metric  # noqa: E402


class AVSMetric(Metric):
    """Mean IoU and F of audio-visual segmentation under a named protocol.

    Frames are reduced to counts and F curves at once, and are identified by clip and position: they may come
    in any order and from several processes, and a frame that a distributed sampler repeats counts once.

    Args:
        protocol: name from ``save_avs.metrics.protocols.PROTOCOLS``.
        size: side at which ``dataset`` compares, pixels; by default the target's own size.
        image_size: side of the network's square input, pixels, at which ``sama`` compares.
        options: of ``torchmetrics.Metric``.

    Raises:
        UsageError: on an unknown protocol, or a size that it lacks or cannot use.

    Examples:
        >>> metric = AVSMetric("official")  # doctest: +SKIP
        >>> metric.update(logits, masks, clips=[0, 0, 1], positions=[0, 1, 0])  # doctest: +SKIP
        >>> metric.compute()  # doctest: +SKIP
        {'miou': tensor(0.7312), 'f': tensor(0.8425)}
    """

    full_state_update = False
    is_differentiable = False
    higher_is_better = True
    index: list[Tensor]
    counts: list[Tensor]
    curves: list[Tensor]

    def __init__(
        self,
        protocol: str = "official",
        *,
        size: int | None = None,
        image_size: int = 0,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        (self.protocol,) = get_protocols([protocol], size)
        if self.protocol.scoring.size == "network" and not image_size:
            raise UsageError(f"protocol '{protocol}' compares at the network's size: give image_size")
        self._image_size = image_size
        for name in ("index", "counts", "curves"):
            self.add_state(name, default=[], dist_reduce_fx="cat")

    def update(
        self, logits: Tensor, targets: Tensor, clips: Tensor | list[int], positions: Tensor | list[int]
    ) -> None:
        """Add annotated frames.

        Args:
            logits: float [B,h,w] or [B,1,h,w], before the sigmoid, of the whole frame at any size; resized
                bilinearly.
            targets: masks [B,H,W] or [B,1,H,W], any pixel that is not 0 is marked; resized by nearest
                neighbor.
            clips: index of each frame's clip in the data set, [B].
            positions: index of the frame in its clip, [B].

        Raises:
            ValueError: when shapes or types are wrong, or a logit is NaN.
        """
        logits = logits[:, None] if logits.ndim == 3 else logits
        masks = (targets[:, 0] if targets.ndim == 4 else targets) != 0
        if logits.ndim != 4 or logits.shape[1] != 1 or masks.ndim != 3:
            shapes = f"{list(logits.shape)} and {list(targets.shape)}"
            raise ValueError(f"logits and targets must be [B,H,W] or [B,1,H,W], not {shapes}")
        frame = (masks.shape[1], masks.shape[2])
        shape = comparison_shape(self.protocol.scoring, frame, self._image_size)
        scorer = MaskMetric(self.protocol.scoring)
        resized = resize_logits(logits.detach(), shape, frame=frame, resize="squash")[:, 0]
        scorer.update(resized, resize_target(masks, shape), clips, positions)
        table = scorer.table()
        index = np.stack([table.clips, table.positions], axis=1)
        for state, values in ((self.index, index), (self.counts, table.counts), (self.curves, table.curves)):
            state.append(torch.from_numpy(values).to(logits.device))

    def compute(self) -> dict[str, Tensor]:
        """Return the mean IoU and F of all frames so far, in 0..1; NaN without a frame to score."""
        if not len(self.index):
            return dict.fromkeys(METRIC_NAMES, torch.tensor(float("nan")))
        index, counts, curves = (
            (values if isinstance(values, Tensor) else torch.cat(values)).cpu().numpy()
            for values in (self.index, self.counts, self.curves)
        )
        _, first = np.unique(index, axis=0, return_index=True)
        clips, positions = index[first].T
        table = FrameTable(clips, positions, counts[first], curves[first]).by_clip()
        scores = {name: float(score_clips(table, self.protocol, name)) for name in METRIC_NAMES}
        return {name: torch.tensor(score, dtype=torch.float64) for name, score in scores.items()}
