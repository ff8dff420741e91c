"""Building a SAVE from its config, fresh or on published checkpoints."""

from __future__ import annotations

from pathlib import Path

from save_avs.models.adapters import AudioAdapter, ImageAdapter, ResidualAudioAdapter, SamaAudioAdapter
from save_avs.models.audio.backbone import AudioBackbone
from save_avs.models.audio.registry import build_backbone
from save_avs.models.config import AudioAdapterConfig, SaveConfig
from save_avs.models.pretrained_delta import load_base_weights
from save_avs.models.sam import Block, ImageEncoderViT, Sam, SamConfig, build_sam
from save_avs.models.save import SAVE
from save_avs.models.semantic_head import SemanticHead


def sam_shape(config: SaveConfig) -> SamConfig:
    """The sizes of the SAM inside."""
    return SamConfig(image_size=config.image_size, **config.sam.model_dump())


def build_save(config: SaveConfig, sam: Sam | None = None, audio: AudioBackbone | None = None) -> SAVE:
    """A SAVE with fresh adapters around ``sam`` and an audio backbone, or around fresh ones."""
    sam = sam or build_sam(sam_shape(config))
    encoder = sam.image_encoder
    if config.image_adapter is not None:
        for block in encoder.blocks:
            assert isinstance(block, Block)
            block.adapter = ImageAdapter(
                encoder.embed_dim, ratio=config.image_adapter.ratio, spatial=config.image_adapter.spatial
            )
    backbone = audio or build_backbone(config.audio)
    adapter = _audio_adapter(config.audio_adapter, backbone, encoder)
    semantic = None
    if config.semantic is not None:
        semantic = SemanticHead(config.semantic.classes, dim=encoder.out_chans)
    model = SAVE(
        sam,
        backbone,
        adapter,
        semantic=semantic,
        classes=config.classes,
        name=config.name,
        resize=config.resize,
    )
    model.config = config
    return model


def _audio_adapter(
    config: AudioAdapterConfig, backbone: AudioBackbone, encoder: ImageEncoderViT
) -> AudioAdapter:
    sizes = {"audio_dim": backbone.dim, "blocks": len(encoder.blocks), "embed_dim": encoder.embed_dim}
    if config.kind == "sama":
        return SamaAudioAdapter(**sizes, hidden=config.hidden)
    return ResidualAudioAdapter(
        **sizes, prompt_embed_dim=encoder.out_chans, **config.model_dump(exclude={"kind"})
    )


def build_from_pretrained(
    config: SaveConfig, *, sam: str | Path | None = None, audio: str | Path | None = None
) -> SAVE:
    """A SAVE with fresh adapters on published checkpoints, which it remembers.

    The model's ``base`` holds the name, size and sha256 of each file. ``save_model`` then writes only what
    is no longer (or never was) the files', and ``load_model`` finds them again, or asks for them.

    Args:
        config: of any preset or size: ``preset("save-vit-b", image_size=512)``.
        sam: Meta's .pth, a Hugging Face folder, one weight file of either, or the name of known weights in
            the cache (``sam-vit-b``). Positions are resampled to the config's size. None: a fresh SAM.
        audio: the audio backbone's checkpoint, a path or a known name (``vggish``, ``cnn14-16k``, ...).
            None: a fresh backbone.

    Returns:
        The model on the CPU, float32. Nothing but the loaded audio backbone is frozen: the caller says what
        trains (``freeze_except(model, ["adapter", "audio_adapter", "mask_decoder"])`` is the paper's choice).

    Raises:
        UsageError: when a file is not there; for a known name the line says how to fetch it.
        SaveAvsError: when a file is damaged, holds pickled code, or is not what the config asks for.
    """
    parts = load_base_weights(config, sam=sam, audio=audio)
    model = build_save(config, parts.sam, parts.audio)
    model.base = parts.base
    return model
