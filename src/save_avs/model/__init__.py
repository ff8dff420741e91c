"""SAVE = SAM + adapters + audio backbone: its config, how it is built, loaded and saved."""

from save_avs.model.build import build_on_bases, build_save
from save_avs.model.config import SaveConfig, preset
from save_avs.model.files import save_folder
from save_avs.model.loading import load_model
from save_avs.model.presets import PRESETS
from save_avs.model.save import SAVE

__all__ = [
    "PRESETS",
    "SAVE",
    "SaveConfig",
    "build_on_bases",
    "build_save",
    "load_model",
    "preset",
    "save_folder",
]
