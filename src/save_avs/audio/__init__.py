"""From waveforms to log-mel patches; and VGGish, the network that reads them in the paper."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from save_avs.audio.frontend import Frontend
from save_avs.audio.log_mel import is_silent, log_mel, log_mel_at

if TYPE_CHECKING:
    from torch import nn

__all__ = ["Frontend", "is_silent", "load_vggish", "log_mel", "log_mel_at"]


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
    return import_module(f"{models}.backbone").load_backbone(network, path)
