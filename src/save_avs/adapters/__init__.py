"""What SAVE adds to a frozen SAM: image adapters, an audio adapter, and freezing the rest."""

from save_avs.adapters.audio import Injection, ResidualAudioAdapter
from save_avs.adapters.audio_sama import SamaAudioAdapter
from save_avs.adapters.freeze import freeze_except
from save_avs.adapters.image import ImageAdapter, Spatial

AudioAdapter = ResidualAudioAdapter | SamaAudioAdapter

__all__ = [
    "AudioAdapter",
    "ImageAdapter",
    "Injection",
    "ResidualAudioAdapter",
    "SamaAudioAdapter",
    "Spatial",
    "freeze_except",
]
