"""SAM's sizes (``SamConfig``), the three published ones, and building a SAM of any."""

from typing import ClassVar

from pydantic import BaseModel, ConfigDict, Field

from save_avs.models.sam.image_encoder import ImageEncoderViT
from save_avs.models.sam.mask_decoder import MaskDecoder
from save_avs.models.sam.prompt_encoder import PromptEncoder
from save_avs.models.sam.sam import Sam
from save_avs.models.sam.transformer import TwoWayTransformer

IMAGE_SIZE = 1024  # pixels; the published checkpoints' own


class SamConfig(BaseModel):
    """Every size of a SAM but the image's, which its positions can be resampled to; defaults are ViT-B's.

    Attributes:
        patch_size: side of a patch, pixels.
        embed_dim: width of the image encoder.
        depth: its number of blocks.
        num_heads: its attention heads.
        mlp_ratio: hidden width of its MLPs over ``embed_dim``.
        window_size: side of its attention windows, tokens.
        global_attn_indexes: indexes of the blocks that attend over the whole grid.
        prompt_embed_dim: channels of image embedding, prompts and decoder.
        mask_in_chans: hidden channels of the mask prompt's branch.
        decoder_depth: two-way blocks of the mask decoder.
        decoder_num_heads: their attention heads.
        decoder_mlp_dim: hidden width of their MLPs.
        num_multimask_outputs: masks returned for an ambiguous prompt.
        iou_head_depth: layers of the IoU prediction head.
        iou_head_hidden_dim: its hidden width.
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid", frozen=True)

    patch_size: int = Field(default=16, gt=0, le=1 << 10)
    embed_dim: int = Field(default=768, gt=0, le=1 << 14)
    depth: int = Field(default=12, gt=0, le=1 << 10)
    num_heads: int = Field(default=12, gt=0)
    mlp_ratio: float = Field(default=4.0, gt=0)
    window_size: int = Field(default=14, gt=0, le=1 << 10)
    global_attn_indexes: tuple[int, ...] = (2, 5, 8, 11)
    prompt_embed_dim: int = Field(default=256, gt=0, le=1 << 14)
    mask_in_chans: int = Field(default=16, gt=0, le=1 << 14)
    decoder_depth: int = Field(default=2, gt=0, le=1 << 10)
    decoder_num_heads: int = Field(default=8, gt=0)
    decoder_mlp_dim: int = Field(default=2048, gt=0)
    num_multimask_outputs: int = Field(default=3, ge=0, le=1 << 10)
    iou_head_depth: int = Field(default=3, gt=0, le=1 << 10)
    iou_head_hidden_dim: int = Field(default=256, gt=0, le=1 << 14)


PRESETS = {
    "vit_b": SamConfig(),
    "vit_l": SamConfig(embed_dim=1024, depth=24, num_heads=16, global_attn_indexes=(5, 11, 17, 23)),
    "vit_h": SamConfig(embed_dim=1280, depth=32, num_heads=16, global_attn_indexes=(7, 15, 23, 31)),
}


def build_sam(config: SamConfig | str = "vit_b", *, image_size: int = IMAGE_SIZE) -> Sam:
    """Build a SAM with randomly initialized weights.

    Args:
        config: the sizes, or a preset's name: vit_b, vit_l, vit_h.
        image_size: side of the square input, pixels.

    Raises:
        ValueError: on an unknown preset, or sizes that do not divide.
    """
    if isinstance(config, str):
        if config not in PRESETS:
            raise ValueError(f"unknown SAM preset {config!r}: choose one of {', '.join(PRESETS)}")
        config = PRESETS[config]
    image_encoder = ImageEncoderViT(
        image_size=image_size,
        patch_size=config.patch_size,
        embed_dim=config.embed_dim,
        depth=config.depth,
        num_heads=config.num_heads,
        mlp_ratio=config.mlp_ratio,
        window_size=config.window_size,
        global_attn_indexes=config.global_attn_indexes,
        out_chans=config.prompt_embed_dim,
    )
    prompt_encoder = PromptEncoder(
        embed_dim=config.prompt_embed_dim,
        image_embedding_size=image_encoder.image_embedding_size,
        image_size=image_size,
        mask_in_chans=config.mask_in_chans,
    )
    mask_decoder = MaskDecoder(
        transformer=TwoWayTransformer(
            depth=config.decoder_depth,
            embed_dim=config.prompt_embed_dim,
            num_heads=config.decoder_num_heads,
            mlp_dim=config.decoder_mlp_dim,
        ),
        transformer_dim=config.prompt_embed_dim,
        num_multimask_outputs=config.num_multimask_outputs,
        iou_head_depth=config.iou_head_depth,
        iou_head_hidden_dim=config.iou_head_hidden_dim,
    )
    return Sam(image_encoder, prompt_encoder, mask_decoder)
