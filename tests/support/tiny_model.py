"""Configs of a SAVE so small that a step takes milliseconds."""

from __future__ import annotations

from typing import Any

import torch

from save_avs.models import SAVE, SaveConfig, build_save

SAM = {
    "embed_dim": 32,
    "depth": 3,
    "num_heads": 2,
    "mlp_ratio": 2.0,
    "window_size": 3,
    "global_attn_indexes": (1,),
    "prompt_embed_dim": 32,
    "decoder_mlp_dim": 32,
}


def tiny_config(**changes: Any) -> SaveConfig:
    """A grid of 4 x 4 tokens, windows of 3 (which do not divide it), three blocks."""
    plain: dict[str, Any] = {
        "name": "tiny",
        "image_size": 64,
        "audio": "compact",
        "sam": SAM,
        "image_adapter": {"ratio": 0.25, "spatial": "depthwise"},
        "audio_adapter": {"hidden": 24},
    }
    return SaveConfig.model_validate(plain | changes)


def tiny_model(*, seed: int = 0, **changes: Any) -> SAVE:
    """A fresh model, every value of it drawn: what starts at zero or one stays so."""
    torch.manual_seed(seed)
    return build_save(tiny_config(**changes)).eval()


def shake(module: torch.nn.Module, seed: int = 1) -> None:
    """Move every parameter a little, so that nothing is a no-op any more."""
    draw = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=draw), alpha=0.1)


def tiny_batch(frames: int = 2, size: int = 64, seed: int = 2) -> tuple[torch.Tensor, torch.Tensor]:
    """Images u8 [B,3,S,S] and patches f32 [B,1,96,64]."""
    draw = torch.Generator().manual_seed(seed)
    images = torch.randint(0, 256, (frames, 3, size, size), generator=draw, dtype=torch.uint8)
    return images, 2 * torch.randn(frames, 1, 96, 64, generator=draw) - 2
