"""Data sets: clips with the pixels that sound; the composer that makes them out of cutouts and sounds."""

from __future__ import annotations

from save_avs.datasets.base import AVDataset, ClipMetadata
from save_avs.datasets.feature_cache import with_features
from save_avs.datasets.padded import PaddedDataset
from save_avs.datasets.registry import DATASETS, available_splits, open_dataset

__all__ = [
    "DATASETS",
    "AVDataset",
    "ClipMetadata",
    "PaddedDataset",
    "available_splits",
    "open_dataset",
    "with_features",
]
