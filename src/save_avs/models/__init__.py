"""SAVE = SAM + adapters + audio backbone: its config, how it is built, loaded and saved."""

from save_avs.models.build import build_from_pretrained, build_save
from save_avs.models.config import SaveConfig, preset
from save_avs.models.loading import load_model
from save_avs.models.presets import PRESETS
from save_avs.models.save import SAVE
from save_avs.models.serialization import save_model

__all__ = [
    "PRESETS",
    "SAVE",
    "SaveConfig",
    "build_from_pretrained",
    "build_save",
    "load_model",
    "preset",
    "save_model",
]
