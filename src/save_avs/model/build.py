"""Building a SAVE from its config."""

from __future__ import annotations

from save_avs.adapters import ImageAdapter, ResidualAudioAdapter
from save_avs.audio.registry import build_backbone
from save_avs.model.config import SaveConfig
from save_avs.model.save import SAVE
from save_avs.sam import Block, Sam, SamShape, build_sam


def sam_shape(config: SaveConfig) -> SamShape:
    """The sizes of the SAM inside."""
    return SamShape(image_size=config.image_size, **config.sam.model_dump())


def build_save(config: SaveConfig, sam: Sam | None = None) -> SAVE:
    """A SAVE with fresh adapters around ``sam``, or around a fresh one."""
    sam = sam or build_sam(sam_shape(config))
    encoder = sam.image_encoder
    if config.image_adapter is not None:
        for block in encoder.blocks:
            assert isinstance(block, Block)
            block.adapter = ImageAdapter(
                encoder.embed_dim, ratio=config.image_adapter.ratio, spatial=config.image_adapter.spatial
            )
    backbone = build_backbone(config.audio)
    audio = config.audio_adapter
    adapter = ResidualAudioAdapter(
        audio_dim=backbone.dim,
        blocks=len(encoder.blocks),
        embed_dim=encoder.embed_dim,
        prompt_dim=encoder.out_dim,
        hidden=audio.hidden,
        tokens=audio.tokens,
        residual=audio.residual,
        shared=audio.shared,
        inject=audio.inject,
    )
    return SAVE(sam, backbone, adapter, classes=config.classes, name=config.name, resize=config.resize)
