"""Clips of one length, as the benchmark's own AVSS loader makes them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from save_avs.datasets.base import DatasetWrapper
from save_avs.types import AVSample


@dataclass(frozen=True)
class PaddedDataset(DatasetWrapper):
    """Clips brought to one length with black frames that are neither valid nor annotated.

    The benchmark's own AVSS loader pads clips of 5 frames to 10 and scores the padding: who wants its
    figures wraps the clips in this and counts the frames that are not ``valid``. Nobody else does.

    Attributes:
        frames: length in frames; longer clips stay as they are.
    """

    frames: int = 10

    def __getitem__(self, i: int) -> AVSample:
        sample = self.clips[i]
        return AVSample(
            name=sample.name,
            frames=self._pad(sample.frames),
            log_mel=self._pad(sample.log_mel),
            masks=self._pad(sample.masks),
            has_mask=self._pad(sample.has_mask),
            valid=self._pad(sample.valid),
            labels=None if sample.labels is None else self._pad(sample.labels),
            features=None if sample.features is None else self._pad(sample.features),
        )

    def _pad(self, values: NDArray[Any]) -> NDArray[Any]:
        missing = max(0, self.frames - len(values))
        return np.pad(values, [(0, missing)] + [(0, 0)] * (values.ndim - 1))
