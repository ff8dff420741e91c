"""Segment Anything: image encoder, prompt encoder and mask decoder, with the checkpoints' own key names."""

from save_avs.models.sam.build_sam import PRESETS, SamConfig, build_sam
from save_avs.models.sam.checkpoint import load_sam
from save_avs.models.sam.image_encoder import Block, ImageEncoderViT
from save_avs.models.sam.mask_decoder import MaskDecoder
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
