"""The published checkpoints a model is built on, and which of its tensors still equal theirs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from save_avs.errors import SaveAvsError
from save_avs.models.audio.pretrained_backbone import AudioBackbone, load_backbone
from save_avs.models.audio.registry import backbone_class
from save_avs.models.config import PretrainedRefs, SaveConfig
from save_avs.models.sam import Sam
from save_avs.models.sam.checkpoint import read_sam_checkpoint
from save_avs.weights.cache import find_weights, identify_published, resolve_weights

SAM_PREFIX, AUDIO_PREFIX = "sam.", "audio_backbone."  # of the keys in a model's state dict
PretrainedPaths = Path | str | Sequence[Path | str] | None


@dataclass(frozen=True)
class PretrainedDelta:
    """What of a model comes from published checkpoints.

    Attributes:
        refs: name, size and sha256 of the files.
        checksums: of each tensor that came from them, by key; any training changes it.
    """

    refs: PretrainedRefs
    checksums: Mapping[str, int]

    def changed(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The part of a model's state that differs from the checkpoints: new, or trained."""
        return {key: tensor for key, tensor in state.items() if self.checksums.get(key) != checksum(tensor)}


@dataclass(frozen=True)
class PretrainedParts:
    """The parts of a model that are loaded from published checkpoints.

    Attributes:
        sam, audio: the modules; None where there is no checkpoint.
        state: their tensors under the model's keys.
        delta: for the model's ``pretrained``; None where there is no checkpoint at all.
    """

    sam: Sam | None
    audio: AudioBackbone | None
    state: Mapping[str, Tensor]
    delta: PretrainedDelta | None


def checksum(tensor: Tensor) -> int:
    """The sum of a tensor's values taken as integers of their width: exact, the same on every device."""
    words = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}[tensor.element_size()]
    return int(tensor.detach().contiguous().view(words).sum(dtype=torch.int64))


def load_pretrained_parts(
    config: SaveConfig, *, sam: Path | str | None, audio: Path | str | None
) -> PretrainedParts:
    """Load checkpoints, each a path or the name of known weights in the cache, at the config's size."""
    sam_file = None if sam is None else resolve_weights(sam)
    audio_file = None if audio is None else resolve_weights(audio)
    refs = PretrainedRefs(
        sam=None if sam_file is None else identify_published(sam_file),
        audio=None if audio_file is None else identify_published(audio_file),
    )
    return _load_parts(config, refs, sam_file, audio_file)


def find_pretrained_parts(config: SaveConfig, pretrained: PretrainedPaths = None) -> PretrainedParts:
    """Load the checkpoints that a saved model names; ``find_weights`` says where they are looked for."""
    given = (pretrained,) if isinstance(pretrained, str | Path) else tuple(pretrained or ())
    paths = tuple(Path(path) for path in given)
    refs = config.pretrained
    sam_file = None if refs.sam is None else find_weights(refs.sam, paths)
    audio_file = None if refs.audio is None else find_weights(refs.audio, paths)
    return _load_parts(config, refs, sam_file, audio_file)


def _load_parts(
    config: SaveConfig, refs: PretrainedRefs, sam_file: Path | None, audio_file: Path | None
) -> PretrainedParts:
    sam = None if sam_file is None else _load_matching_sam(config, sam_file)
    audio = None if audio_file is None else load_backbone(backbone_class(config.audio), audio_file)
    # Taken now: once the SAM is part of a model it holds adapters, which no checkpoint has.
    state = {
        prefix + key: tensor
        for prefix, part in ((SAM_PREFIX, sam), (AUDIO_PREFIX, audio))
        if part is not None
        for key, tensor in part.state_dict().items()
    }
    checksums = {key: checksum(tensor) for key, tensor in state.items()}
    return PretrainedParts(sam, audio, state, PretrainedDelta(refs, checksums) if refs else None)


def _load_matching_sam(config: SaveConfig, file: Path) -> Sam:
    checkpoint = read_sam_checkpoint(file)
    differing = [
        f"{size} {getattr(checkpoint.config, size)} instead of {value}"
        for size, value in dict(config.sam).items()
        if getattr(checkpoint.config, size) != value
    ]
    if differing:
        raise SaveAvsError(f"{file} is a SAM of another size than {config.name} has: {', '.join(differing)}")
    return checkpoint.build(config.image_size)
