"""The frozen checkpoints a model stands on: which they are, and what of the model is still theirs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from save_avs.errors import SaveAvsError
from save_avs.models.audio.backbone import AudioBackbone, load_backbone
from save_avs.models.audio.registry import backbone_class
from save_avs.models.config import PretrainedRefs, SaveConfig
from save_avs.models.sam import Sam
from save_avs.models.sam.load import make_sam, read_sam_checkpoint
from save_avs.weights.cache import find_weights, identify_published, resolve_weights

SAM, AUDIO = "sam.", "audio_backbone."  # where each stands among a model's keys
BaseWeightPaths = Path | str | Sequence[Path | str] | None


@dataclass(frozen=True)
class PretrainedDelta:
    """What a model has from its bases.

    Attributes:
        base_weights: which files they are.
        sums: of each tensor that came from them, a sum that any training changes.
    """

    base_weights: PretrainedRefs
    sums: Mapping[str, int]

    def without(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The part of a model's state that its bases do not give back: new, or no longer theirs."""
        return {key: tensor for key, tensor in state.items() if self.sums.get(key) != checksum(tensor)}


@dataclass(frozen=True)
class PretrainedParts:
    """The parts of a model that are loaded from its bases.

    Attributes:
        sam, audio: the modules; None where a part has no base.
        state: their tensors under the model's keys.
        base: what the model is to remember of them; None where there is no base at all.
    """

    sam: Sam | None
    audio: AudioBackbone | None
    state: Mapping[str, Tensor]
    base: PretrainedDelta | None


def checksum(tensor: Tensor) -> int:
    """The sum of a tensor's values taken as integers of their width: exact, the same on every device."""
    words = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}[tensor.element_size()]
    return int(tensor.detach().contiguous().view(words).sum(dtype=torch.int64))


def load_base_weights(
    config: SaveConfig, *, sam: Path | str | None, audio: Path | str | None
) -> PretrainedParts:
    """Load the bases given, each a path or the name of known weights in the cache, at the config's size.

    Raises:
        UsageError: when a file is not there.
        SaveAvsError: when a file is damaged, or is not what the config asks for.
    """
    sam_file = None if sam is None else resolve_weights(sam)
    audio_file = None if audio is None else resolve_weights(audio)
    base_weights = PretrainedRefs(
        sam=None if sam_file is None else identify_published(sam_file),
        audio=None if audio_file is None else identify_published(audio_file),
    )
    return _load(config, base_weights, sam_file, audio_file)


def find_base_weights(config: SaveConfig, base: BaseWeightPaths = None) -> PretrainedParts:
    """Load the bases that a saved model names; see ``find_weights`` for where they are looked for.

    Raises:
        UsageError: when one is nowhere.
        SaveAvsError: when only others were found, or the one found does not fit the config.
    """
    given = (base,) if isinstance(base, str | Path) else tuple(base or ())
    paths = tuple(Path(path) for path in given)
    found = {
        kind: None if identity is None else find_weights(identity, paths)
        for kind, identity in (("sam", config.base_weights.sam), ("audio", config.base_weights.audio))
    }
    return _load(config, config.base_weights, found["sam"], found["audio"])


def _load(
    config: SaveConfig, base_weights: PretrainedRefs, sam_file: Path | None, audio_file: Path | None
) -> PretrainedParts:
    sam = None if sam_file is None else _fitting_sam(config, sam_file)
    audio = None if audio_file is None else load_backbone(backbone_class(config.audio), audio_file)
    # Taken now: once the SAM is part of a model it holds adapters, which are not the base's.
    state = {
        prefix + key: tensor
        for prefix, part in ((SAM, sam), (AUDIO, audio))
        if part is not None
        for key, tensor in part.state_dict().items()
    }
    sums = {key: checksum(tensor) for key, tensor in state.items()}
    return PretrainedParts(sam, audio, state, PretrainedDelta(base_weights, sums) if base_weights else None)


def _fitting_sam(config: SaveConfig, file: Path) -> Sam:
    state, shape = read_sam_checkpoint(file)
    differs = [
        f"{size} {getattr(shape, size)} instead of {value}"
        for size, value in dict(config.sam).items()
        if getattr(shape, size) != value
    ]
    if differs:
        raise SaveAvsError(f"{file} is a SAM of another size than {config.name} has: {', '.join(differs)}")
    return make_sam(state, shape, source=str(file), image_size=config.image_size)
