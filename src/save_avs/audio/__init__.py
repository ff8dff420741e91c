"""From sound to vectors: log-mel patches and the audio backbones.

The backbones need torch, whose import takes seconds; they are imported when first asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from save_avs.audio.front_end import FrontEnd
from save_avs.audio.log_mel import is_silent, log_mel, log_mel_at

if TYPE_CHECKING:
    from save_avs.audio.backbone import AudioBackbone
    from save_avs.audio.compact import CompactBackbone
    from save_avs.audio.registry import BACKBONES, build_backbone
    from save_avs.audio.vggish import VGGish, load_vggish

__all__ = [
    "BACKBONES",
    "AudioBackbone",
    "CompactBackbone",
    "FrontEnd",
    "VGGish",
    "build_backbone",
    "is_silent",
    "load_vggish",
    "log_mel",
    "log_mel_at",
]

_HOMES = {
    "AudioBackbone": "backbone",
    "CompactBackbone": "compact",
    "BACKBONES": "registry",
    "build_backbone": "registry",
    "VGGish": "vggish",
    "load_vggish": "vggish",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
