"""From sound to vectors: log-mel patches and the audio backbones.

The backbones need torch, whose import takes seconds; they are imported when first asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from save_avs.audio.frontend import Frontend
from save_avs.audio.log_mel import is_silent, log_mel, log_mel_at

if TYPE_CHECKING:
    from save_avs.models.audio.backbone import AudioBackbone
    from save_avs.models.audio.compact import CompactBackbone
    from save_avs.models.audio.registry import BACKBONES, build_backbone
    from save_avs.models.audio.vggish import VGGish, load_vggish

__all__ = [
    "BACKBONES",
    "AudioBackbone",
    "CompactBackbone",
    "Frontend",
    "VGGish",
    "build_backbone",
    "is_silent",
    "load_vggish",
    "log_mel",
    "log_mel_at",
]

_HOMES = {
    "AudioBackbone": "save_avs.models.audio.backbone",
    "CompactBackbone": "save_avs.models.audio.compact",
    "BACKBONES": "save_avs.models.audio.registry",
    "build_backbone": "save_avs.models.audio.registry",
    "VGGish": "save_avs.models.audio.vggish",
    "load_vggish": "save_avs.models.audio.vggish",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
