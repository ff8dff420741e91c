"""The audio backbones by name: a new one is a file beside this and a line in the table."""

from __future__ import annotations

from save_avs.audio.backbone import AudioBackbone
from save_avs.audio.compact import CompactBackbone
from save_avs.audio.vggish import VGGish
from save_avs.errors import UsageError

BACKBONES: dict[str, type[AudioBackbone]] = {
    "vggish": VGGish,
    "compact": CompactBackbone,
}


def backbone_class(name: str) -> type[AudioBackbone]:
    """The backbone of that name; its ``dim`` tells its width without building it.

    Raises:
        UsageError: when no backbone has that name.
    """
    if name not in BACKBONES:
        raise UsageError(f"unknown audio backbone '{name}': choose one of {', '.join(sorted(BACKBONES))}")
    return BACKBONES[name]


def build_backbone(name: str) -> AudioBackbone:
    """Build a backbone with fresh weights.

    Raises:
        UsageError: when no backbone has that name.
    """
    return backbone_class(name)()
