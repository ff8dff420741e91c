"""SAM as published: image encoder, prompt encoder, mask decoder, with its checkpoints' own key names."""

from __future__ import annotations

from save_avs.sam.image_encoder import Block, ImageEncoder
from save_avs.sam.load import load_sam
from save_avs.sam.mask_decoder import MaskDecoder
from save_avs.sam.presets import PRESETS, SamShape, build_sam
from save_avs.sam.prompt_encoder import PromptEncoder
from save_avs.sam.sam import Sam

__all__ = [
    "PRESETS",
    "Block",
    "ImageEncoder",
    "MaskDecoder",
    "PromptEncoder",
    "Sam",
    "SamShape",
    "build_sam",
    "load_sam",
]
