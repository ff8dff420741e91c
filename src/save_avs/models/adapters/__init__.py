"""What SAVE adds to a frozen SAM: image adapters, an audio adapter, and freezing the rest."""

from save_avs.models.adapters.freeze import freeze_except
from save_avs.models.adapters.image import ImageAdapter, Spatial
from save_avs.models.adapters.residual_audio import Injection, ResidualAudioAdapter
from save_avs.models.adapters.sama_audio import SamaAudioAdapter

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
