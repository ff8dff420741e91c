"""The model card that stands in a model folder: what can be said without knowing how it was trained."""

from __future__ import annotations

from save_avs.models.config import AudioAdapterConfig, SaveConfig


def model_card(config: SaveConfig, parameters: int) -> str:
    """A README.md in the Hugging Face shape.

    Args:
        config: of the model, its bases named.
        parameters: how many numbers the folder's own weights hold.
    """
    image, sam = config.image_adapter, config.sam
    adapter = "none" if image is None else f"{image.spatial} spatial branch, ratio {image.ratio:g}"
    rows = {
        "architecture": "SAVE (arXiv 2407.02004): a Segment Anything Model with adapters that hear",
        "image encoder": f"{sam.embed_dim} wide, {sam.depth} blocks",
        "input": f"{config.image_size} px, {config.resize}",
        "image adapters": adapter,
        "audio": f"{config.audio}; {_audio_path(config.audio_adapter)}",
        "in this folder": f"{parameters / 1e6:.2f} M numbers",
    }
    table = "\n".join(f"| {name} | {value} |" for name, value in rows.items())
    return (
        "---\n"
        "library_name: save-avs\n"
        "pipeline_tag: image-segmentation\n"
        "tags: [audio-visual-segmentation, segment-anything, adapters]\n"
        "---\n\n"
        f"# {config.name}\n\n"
        f"| | |\n|---|---|\n{table}\n\n"
        f"{_bases(config)}"
        'Use: `save_avs.load_model("<this folder>")` or `"hf:owner/name"`, where a hub has it, or\n'
        "`save-avs segment clip.mp4 --model <this folder>`.\n"
    )


def _audio_path(adapter: AudioAdapterConfig) -> str:
    if adapter.kind == "sama":
        return f"a vector a block, each {adapter.hidden} wide, no prompt (SAMA-AVS)"
    return f"residual chain {adapter.hidden} wide, {adapter.tokens} prompt token(s)"


def _bases(config: SaveConfig) -> str:
    """What the folder needs beside itself."""
    if not config.base_weights:
        return "The folder holds the whole model.\n\n"
    lines = "\n".join(
        f"* {kind}: `{identity.name}`, {identity.size} bytes, sha256 `{identity.sha256}`"
        for kind, identity in (("sam", config.base_weights.sam), ("audio", config.base_weights.audio))
        if identity is not None
    )
    return (
        "The folder holds only what differs from these checkpoints, and is of use only with them "
        f"(`save-avs weights fetch NAME`):\n\n{lines}\n\n"
    )
