"""Segment Anything by itself: ``load_sam``, ``build_sam``, ``segment_prompt`` and what they return."""

from save_avs.models.prompting import PromptedMask, segment_prompt
from save_avs.models.sam import PRESETS, Sam, SamConfig, build_sam, load_sam

__all__ = ["PRESETS", "PromptedMask", "Sam", "SamConfig", "build_sam", "load_sam", "segment_prompt"]
