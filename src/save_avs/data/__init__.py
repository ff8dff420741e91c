"""Data sets: clips with the pixels that sound; the composer that makes them out of cutouts and sounds."""

from __future__ import annotations

from save_avs.data.benchmarks.registry import DATASETS, open_clips
from save_avs.data.clipset import ClipFacts, ClipSet

__all__ = ["DATASETS", "ClipFacts", "ClipSet", "open_clips"]
