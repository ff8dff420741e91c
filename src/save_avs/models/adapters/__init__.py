"""Trainable parts that SAVE adds to a frozen SAM, and freezing the rest."""

from save_avs.models.adapters.audio_adapters import (
    AudioAdapter,
    Injection,
    ResidualAudioAdapter,
    SamaAudioAdapter,
)
from save_avs.models.adapters.freeze import freeze_except
from save_avs.models.adapters.image_adapter import ImageAdapter, SpatialBranch

__all__ = [
    "AudioAdapter",
    "ImageAdapter",
    "Injection",
    "ResidualAudioAdapter",
    "SamaAudioAdapter",
    "SpatialBranch",
    "freeze_except",
]
