"""The frozen checkpoints a model stands on: which they are, and what of the model is still theirs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from save_avs.audio.backbone import AudioBackbone, load_backbone
from save_avs.audio.registry import backbone_class
from save_avs.checkpoints.cache import find_file, locate, name_of
from save_avs.errors import SaveAvsError
from save_avs.model.config import Bases, SaveConfig
from save_avs.sam import Sam
from save_avs.sam.load import make_sam, read_sam

SAM, AUDIO = "sam.", "audio_backbone."  # where each stands among a model's keys
BaseFiles = Path | str | Sequence[Path | str] | None


@dataclass(frozen=True)
class Base:
    """What a model has from its bases.

    Attributes:
        bases: which files they are.
        sums: of each tensor that came from them, a sum that any training changes.
    """

    bases: Bases
    sums: Mapping[str, int]

    def without(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The part of a model's state that its bases do not give back: new, or no longer theirs."""
        return {key: tensor for key, tensor in state.items() if self.sums.get(key) != bit_sum(tensor)}


@dataclass(frozen=True)
class BaseParts:
    """The parts of a model that are loaded from its bases.

    Attributes:
        sam, audio: the modules; None where a part has no base.
        state: their tensors under the model's keys.
        base: what the model is to remember of them; None where there is no base at all.
    """

    sam: Sam | None
    audio: AudioBackbone | None
    state: Mapping[str, Tensor]
    base: Base | None


def bit_sum(tensor: Tensor) -> int:
    """The sum of a tensor's values taken as integers of their width: exact, the same on every device."""
    words = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}[tensor.element_size()]
    return int(tensor.detach().contiguous().view(words).sum(dtype=torch.int64))


def load_parts(config: SaveConfig, *, sam: Path | str | None, audio: Path | str | None) -> BaseParts:
    """Load the bases given, each a path or the name of known weights in the cache, at the config's size.

    Raises:
        UsageError: when a file is not there.
        SaveAvsError: when a file is damaged, or is not what the config asks for.
    """
    sam_file = None if sam is None else locate(sam)
    audio_file = None if audio is None else locate(audio)
    bases = Bases(
        sam=None if sam_file is None else name_of(sam_file),
        audio=None if audio_file is None else name_of(audio_file),
    )
    return _load(config, bases, sam_file, audio_file)


def find_parts(config: SaveConfig, base: BaseFiles = None) -> BaseParts:
    """Load the bases that a saved model names; see ``find_file`` for where they are looked for.

    Raises:
        UsageError: when one is nowhere.
        SaveAvsError: when only others were found, or the one found does not fit the config.
    """
    given = (base,) if isinstance(base, str | Path) else tuple(base or ())
    paths = tuple(Path(path) for path in given)
    found = {
        kind: None if identity is None else find_file(identity, paths)
        for kind, identity in (("sam", config.bases.sam), ("audio", config.bases.audio))
    }
    return _load(config, config.bases, found["sam"], found["audio"])


def _load(config: SaveConfig, bases: Bases, sam_file: Path | None, audio_file: Path | None) -> BaseParts:
    sam = None if sam_file is None else _fitting_sam(config, sam_file)
    audio = None if audio_file is None else load_backbone(backbone_class(config.audio), audio_file)
    # Taken now: once the SAM is part of a model it holds adapters, which are not the base's.
    state = {
        prefix + key: tensor
        for prefix, part in ((SAM, sam), (AUDIO, audio))
        if part is not None
        for key, tensor in part.state_dict().items()
    }
    sums = {key: bit_sum(tensor) for key, tensor in state.items()}
    return BaseParts(sam, audio, state, Base(bases, sums) if bases else None)


def _fitting_sam(config: SaveConfig, file: Path) -> Sam:
    state, shape = read_sam(file)
    differs = [
        f"{size} {getattr(shape, size)} instead of {value}"
        for size, value in dict(config.sam).items()
        if getattr(shape, size) != value
    ]
    if differs:
        raise SaveAvsError(f"{file} is a SAM of another size than {config.name} has: {', '.join(differs)}")
    return make_sam(state, shape, source=str(file), image_size=config.image_size)
