"""Segment Anything by itself: ``load_sam``, ``build_sam`` and what they return."""

from save_avs.models.sam import PRESETS, Sam, SamConfig, build_sam, load_sam

__all__ = ["PRESETS", "Sam", "SamConfig", "build_sam", "load_sam"]
