"""SAM as published: image encoder, prompt encoder, mask decoder, with its checkpoints' own key names."""

from __future__ import annotations

from save_avs.models.sam.image_encoder import Block, ImageEncoderViT
from save_avs.models.sam.load import load_sam
from save_avs.models.sam.mask_decoder import MaskDecoder
from save_avs.models.sam.presets import PRESETS, SamConfig, build_sam
from save_avs.models.sam.prompt_encoder import PromptEncoder
from save_avs.models.sam.sam import Sam

__all__ = [
    "PRESETS",
    "Block",
    "ImageEncoderViT",
    "MaskDecoder",
    "PromptEncoder",
    "Sam",
    "SamConfig",
    "build_sam",
    "load_sam",
]
