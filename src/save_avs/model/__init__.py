"""SAVE = SAM + adapters + audio backbone: its config, how it is built, loaded and saved."""

from save_avs.model.build import build_save
from save_avs.model.config import SaveConfig
from save_avs.model.files import save_folder
from save_avs.model.loading import load_model
from save_avs.model.save import SAVE

__all__ = ["SAVE", "SaveConfig", "build_save", "load_model", "save_folder"]
