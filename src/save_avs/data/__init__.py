"""Data sets: clips with the pixels that sound; the composer that makes them out of cutouts and sounds."""

from __future__ import annotations

from save_avs.data.benchmarks.registry import DATASETS, offered_splits, open_clips
from save_avs.data.clipset import ClipFacts, ClipSet
from save_avs.data.features import with_features
from save_avs.data.padded import Padded

__all__ = ["DATASETS", "ClipFacts", "ClipSet", "Padded", "offered_splits", "open_clips", "with_features"]
