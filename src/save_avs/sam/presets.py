"""The sizes SAM comes in, and how to build one."""

from __future__ import annotations

from dataclasses import dataclass, replace

from save_avs.sam.image_encoder import ImageEncoder
from save_avs.sam.mask_decoder import MaskDecoder
from save_avs.sam.prompt_encoder import PromptEncoder
from save_avs.sam.sam import Sam


@dataclass(frozen=True, kw_only=True)
class SamShape:
    """Every size that makes a SAM; the defaults are ViT-B at 1024 px.

    Attributes:
        image_size: side of the square input, pixels.
        patch_size: side of a patch, pixels.
        embed_dim: width of the image encoder.
        depth: its blocks.
        heads: its attention heads.
        mlp_ratio: its MLPs' hidden width over the width.
        window: side of its attention windows, tokens.
        global_blocks: the blocks that attend over the whole grid.
        prompt_dim: channels of embedding, prompts and decoder.
        mask_channels: hidden channels of the mask prompt's branch.
        decoder_depth: two-way blocks.
        decoder_heads: their attention heads.
        decoder_mlp_dim: hidden width of their MLPs.
        multimask_outputs: masks offered for an ambiguous prompt.
        iou_depth: layers of the quality head.
        iou_hidden: its hidden width.
    """

    image_size: int = 1024
    patch_size: int = 16
    embed_dim: int = 768
    depth: int = 12
    heads: int = 12
    mlp_ratio: float = 4.0
    window: int = 14
    global_blocks: tuple[int, ...] = (2, 5, 8, 11)
    prompt_dim: int = 256
    mask_channels: int = 16
    decoder_depth: int = 2
    decoder_heads: int = 8
    decoder_mlp_dim: int = 2048
    multimask_outputs: int = 3
    iou_depth: int = 3
    iou_hidden: int = 256


PRESETS = {
    "vit_b": SamShape(),
    "vit_l": SamShape(embed_dim=1024, depth=24, heads=16, global_blocks=(5, 11, 17, 23)),
    "vit_h": SamShape(embed_dim=1280, depth=32, heads=16, global_blocks=(7, 15, 23, 31)),
}


def build_sam(shape: SamShape | str = "vit_b", *, image_size: int | None = None) -> Sam:
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
    encoder = ImageEncoder(
        image_size=shape.image_size,
        patch_size=shape.patch_size,
        embed_dim=shape.embed_dim,
        depth=shape.depth,
        heads=shape.heads,
        mlp_ratio=shape.mlp_ratio,
        window=shape.window,
        global_blocks=shape.global_blocks,
        out_dim=shape.prompt_dim,
    )
    prompts = PromptEncoder(
        dim=shape.prompt_dim,
        grid=encoder.grid,
        image_size=shape.image_size,
        mask_channels=shape.mask_channels,
    )
    decoder = MaskDecoder(
        dim=shape.prompt_dim,
        depth=shape.decoder_depth,
        heads=shape.decoder_heads,
        mlp_dim=shape.decoder_mlp_dim,
        multimask_outputs=shape.multimask_outputs,
        iou_depth=shape.iou_depth,
        iou_hidden=shape.iou_hidden,
    )
    return Sam(encoder, prompts, decoder)
