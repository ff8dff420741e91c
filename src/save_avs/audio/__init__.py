"""From waveforms to log-mel patches; and VGGish, the network that reads them in the paper."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from save_avs.audio.frontend import Frontend
from save_avs.audio.log_mel import is_silent, log_mel, log_mel_at

if TYPE_CHECKING:
    from torch import nn

    from save_avs.types import F32

__all__ = ["Frontend", "is_silent", "load_audio", "load_vggish", "log_mel", "log_mel_at"]


def load_audio(path: str | Path, *, sample_rate: int) -> F32:
    """Decode the first audio track of a file into memory: the mean of its channels, f32 [S].

    Args:
        path: a local file with sound: WAV, FLAC, MP3, or a video.
        sample_rate: samples per second of the result.

    Raises:
        MediaError: the file has no audio that FFmpeg can read.

    Examples:
        >>> import save_avs.audio
        >>> save_avs.audio.load_audio("clip.mp4", sample_rate=16000).ndim
        1
    """
    # Imported by name: reading files belongs to a higher layer.
    return import_module("save_avs.video.audio_reader").load_audio(path, sample_rate=sample_rate)


def load_vggish(path: str | Path) -> nn.Module:
    """Load the public VGGish checkpoint (``vggish-10086976.pth``): on the CPU, frozen, in evaluation mode.

    The network maps log-mel patches f32 [N,1,96,64] to embeddings [N,128].

    Raises:
        UsageError: when there is no such file.
        SaveAvsError: when the file is damaged or does not fit; the message names every key that differs.
    """
    # Imported by name: the networks belong to a higher layer, and importing torch takes seconds.
    models = "save_avs.models.audio"
    network = import_module(f"{models}.vggish").VGGish
    return import_module(f"{models}.pretrained_backbone").load_backbone(network, path)
