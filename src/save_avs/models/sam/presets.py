"""The sizes SAM comes in, and how to build one."""

from __future__ import annotations

from dataclasses import dataclass, replace

from save_avs.models.sam.image_encoder import ImageEncoderViT
from save_avs.models.sam.mask_decoder import MaskDecoder
from save_avs.models.sam.prompt_encoder import PromptEncoder
from save_avs.models.sam.sam import Sam


@dataclass(frozen=True, kw_only=True)
class SamConfig:
    """Every size that makes a SAM; the defaults are ViT-B at 1024 px.

    Attributes:
        image_size: side of the square input, pixels.
        patch_size: side of a patch, pixels.
        embed_dim: width of the image encoder.
        depth: its blocks.
        num_heads: its attention heads.
        mlp_ratio: its MLPs' hidden width over the width.
        window_size: side of its attention windows, tokens.
        global_attn_indexes: the blocks that attend over the whole grid.
        prompt_embed_dim: channels of embedding, prompts and decoder.
        mask_in_chans: hidden channels of the mask prompt's branch.
        decoder_depth: two-way blocks.
        decoder_num_heads: their attention heads.
        decoder_mlp_dim: hidden width of their MLPs.
        num_multimask_outputs: masks offered for an ambiguous prompt.
        iou_head_depth: layers of the quality head.
        iou_head_hidden_dim: its hidden width.
    """

    image_size: int = 1024
    patch_size: int = 16
    embed_dim: int = 768
    depth: int = 12
    num_heads: int = 12
    mlp_ratio: float = 4.0
    window_size: int = 14
    global_attn_indexes: tuple[int, ...] = (2, 5, 8, 11)
    prompt_embed_dim: int = 256
    mask_in_chans: int = 16
    decoder_depth: int = 2
    decoder_num_heads: int = 8
    decoder_mlp_dim: int = 2048
    num_multimask_outputs: int = 3
    iou_head_depth: int = 3
    iou_head_hidden_dim: int = 256


PRESETS = {
    "vit_b": SamConfig(),
    "vit_l": SamConfig(embed_dim=1024, depth=24, num_heads=16, global_attn_indexes=(5, 11, 17, 23)),
    "vit_h": SamConfig(embed_dim=1280, depth=32, num_heads=16, global_attn_indexes=(7, 15, 23, 31)),
}


def build_sam(shape: SamConfig | str = "vit_b", *, image_size: int | None = None) -> Sam:
    """Build a SAM with freshly drawn weights.

    Args:
        shape: the sizes, or a preset's name: vit_b, vit_l, vit_h.
        image_size: side of the square input in pixels, in place of the shape's own.

    Raises:
        ValueError: on an unknown preset, or sizes that do not divide.
    """
    if isinstance(shape, str):
        if shape not in PRESETS:
            raise ValueError(f"no SAM preset {shape!r}; there are {', '.join(PRESETS)}")
        shape = PRESETS[shape]
    if image_size is not None:
        shape = replace(shape, image_size=image_size)
    encoder = ImageEncoderViT(
        image_size=shape.image_size,
        patch_size=shape.patch_size,
        embed_dim=shape.embed_dim,
        depth=shape.depth,
        num_heads=shape.num_heads,
        mlp_ratio=shape.mlp_ratio,
        window_size=shape.window_size,
        global_attn_indexes=shape.global_attn_indexes,
        out_chans=shape.prompt_embed_dim,
    )
    prompts = PromptEncoder(
        dim=shape.prompt_embed_dim,
        grid=encoder.grid,
        image_size=shape.image_size,
        mask_in_chans=shape.mask_in_chans,
    )
    decoder = MaskDecoder(
        dim=shape.prompt_embed_dim,
        depth=shape.decoder_depth,
        num_heads=shape.decoder_num_heads,
        mlp_dim=shape.decoder_mlp_dim,
        num_multimask_outputs=shape.num_multimask_outputs,
        iou_head_depth=shape.iou_head_depth,
        iou_head_hidden_dim=shape.iou_head_hidden_dim,
    )
    return Sam(encoder, prompts, decoder)
