"""Building a SAVE from its config, with random weights or on published checkpoints."""

from __future__ import annotations

from pathlib import Path

from save_avs.models.adapters.audio_adapters import AudioAdapter, ResidualAudioAdapter, SamaAudioAdapter
from save_avs.models.adapters.image_adapter import ImageAdapter
from save_avs.models.audio.pretrained_backbone import AudioBackbone
from save_avs.models.audio.registry import backbone_class
from save_avs.models.config import AudioAdapterConfig, SaveConfig
from save_avs.models.image_stem import EfficientNetLite0, ImageStem
from save_avs.models.pretrained import load_pretrained_parts
from save_avs.models.sam import Block, ImageEncoderViT, Sam, build_sam
from save_avs.models.save import SAVE
from save_avs.models.semantic_head import SemanticHead


def build_save(
    config: SaveConfig,
    sam: Sam | None = None,
    audio: AudioBackbone | None = None,
    cnn: EfficientNetLite0 | None = None,
) -> SAVE:
    """Build a SAVE with untrained adapters around ``sam``, an audio backbone and a stem's network.

    Parts that are not given are random.
    """
    sam = sam or build_sam(config.sam, image_size=config.image_size)
    encoder = sam.image_encoder
    if (image_adapter := config.image_adapter) is not None:
        for block in encoder.blocks:
            assert isinstance(block, Block)
            block.adapter = ImageAdapter(encoder.embed_dim, **image_adapter.model_dump())
    backbone = audio or backbone_class(config.audio)()
    adapter = _build_audio_adapter(config.audio_adapter, backbone, encoder)
    stem = None if config.stem is None else ImageStem(encoder.embed_dim, cnn)
    semantic = None
    if config.semantic is not None:
        semantic = SemanticHead(config.semantic.classes, dim=encoder.out_chans)
    model = SAVE(
        sam,
        backbone,
        adapter,
        stem=stem,
        semantic=semantic,
        classes=config.classes,
        name=config.name,
        resize=config.resize,
    )
    model.config = config
    return model


def count_layers(config: SaveConfig) -> int:
    """Lower bound of a SAVE's tensors, known without building it: each repeated layer has at least one."""
    sam = config.sam
    return sam.depth + sam.decoder_depth + sam.iou_head_depth + sam.num_multimask_outputs


def _build_audio_adapter(
    config: AudioAdapterConfig, backbone: AudioBackbone, encoder: ImageEncoderViT
) -> AudioAdapter:
    sizes = {"audio_dim": backbone.dim, "blocks": len(encoder.blocks), "embed_dim": encoder.embed_dim}
    if config.kind == "sama":
        return SamaAudioAdapter(**sizes, hidden=config.hidden, init=config.init)
    options = config.model_dump(exclude={"kind"})
    return ResidualAudioAdapter(**sizes, prompt_embed_dim=encoder.out_chans, **options)


def build_from_pretrained(
    config: SaveConfig,
    *,
    sam: str | Path | None = None,
    audio: str | Path | None = None,
    stem: str | Path | None = None,
) -> SAVE:
    """Build a SAVE with untrained adapters on published checkpoints, which it keeps track of.

    The model's ``pretrained`` holds the name, size and sha256 of each file. ``save_model`` then writes only
    what is not (or no longer) the files', and ``load_model`` finds them again, or says which are missing.

    Args:
        config: of any preset or size: ``SaveConfig.from_preset("save-vit-b", image_size=512)``.
        sam: Meta's .pth, a Hugging Face folder, one weight file of either, or the name of known weights in
            the cache (``sam-vit-b``). Positions are resampled to the config's size. None: random weights.
        audio: the audio backbone's checkpoint, a path or a known name (``vggish``, ``cnn14-16k``, ...).
            None: random weights.
        stem: the checkpoint of the stem's network, if the config has a stem. None: random weights.

    Returns:
        The model on the CPU, float32. Only the loaded audio backbone and stem are frozen: the caller
        chooses what is trained (``freeze_except(model, ["adapter", "audio_adapter", "mask_decoder"])`` as in
        the paper).

    Raises:
        UsageError: when a file does not exist; for a known name the line says how to fetch it.
        SaveAvsError: when a file is damaged, holds pickled code, or does not fit the config.
    """
    parts = load_pretrained_parts(config, sam=sam, audio=audio, stem=stem)
    model = build_save(config, parts.sam, parts.audio, parts.stem)
    model.pretrained = parts.delta
    return model
