"""The audio backbones by name: a new one needs a file in this package and a line in the table."""

from save_avs.errors import UsageError
from save_avs.models.audio.aisfx import AiSFX
from save_avs.models.audio.cnn14 import CNN14
from save_avs.models.audio.compact import CompactBackbone
from save_avs.models.audio.openl3 import OPENL3_VARIANTS
from save_avs.models.audio.pretrained_backbone import AudioBackbone
from save_avs.models.audio.vggish import VGGish
from save_avs.models.audio.yamnet import YAMNet

BACKBONES: dict[str, type[AudioBackbone]] = {
    "vggish": VGGish,
    "compact": CompactBackbone,
    "cnn14": CNN14,
    **OPENL3_VARIANTS,
    "yamnet": YAMNet,
    "aisfx": AiSFX,
}


def backbone_class(name: str) -> type[AudioBackbone]:
    """The backbone of that name, or a UsageError; ``dim`` and ``frontend`` are known without building it."""
    if name not in BACKBONES:
        raise UsageError(f"unknown audio backbone '{name}': choose one of {', '.join(sorted(BACKBONES))}")
    return BACKBONES[name]
