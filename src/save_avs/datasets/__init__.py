"""Data sets of clips with the pixels that sound: AVSBench, AVS-Synthetic, any folder of videos with masks."""

from save_avs.datasets.avsbench_semantic import as_published
from save_avs.datasets.base import AVDataset, ClipMetadata
from save_avs.datasets.feature_cache import with_features
from save_avs.datasets.registry import DATASETS, available_splits, open_dataset

__all__ = [
    "DATASETS",
    "AVDataset",
    "ClipMetadata",
    "as_published",
    "available_splits",
    "open_dataset",
    "with_features",
]
