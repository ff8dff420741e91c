"""SAVE = SAM + adapters + audio backbone: config, building, reading and writing model folders."""

from save_avs.models.build import build_from_pretrained, build_save
from save_avs.models.config import PRESETS, SaveConfig
from save_avs.models.save import SAVE
from save_avs.models.serialization import save_model

__all__ = [
    "PRESETS",
    "SAVE",
    "SaveConfig",
    "build_from_pretrained",
    "build_save",
    "save_model",
]
