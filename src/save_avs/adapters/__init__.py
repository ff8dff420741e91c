"""What SAVE adds to a frozen SAM: image adapters, the residual audio adapter, and freezing the rest."""

from save_avs.adapters.audio import Injection, ResidualAudioAdapter
from save_avs.adapters.freeze import freeze_except
from save_avs.adapters.image import ImageAdapter, Spatial

__all__ = ["ImageAdapter", "Injection", "ResidualAudioAdapter", "Spatial", "freeze_except"]
