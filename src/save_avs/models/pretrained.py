"""The published checkpoints a model is built on, and which of its tensors still equal theirs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from save_avs.errors import SaveAvsError, UsageError
from save_avs.models.audio.pretrained_backbone import AudioBackbone, load_backbone
from save_avs.models.audio.registry import backbone_class
from save_avs.models.config import PretrainedRefs, SaveConfig
from save_avs.models.image_stem import EfficientNetLite0, load_efficientnet
from save_avs.models.sam import Sam
from save_avs.models.sam.checkpoint import read_sam_checkpoint
from save_avs.weights.cache import find_weights, identify_published, resolve_weights

# of the keys in a model's state dict
SAM_PREFIX, AUDIO_PREFIX, STEM_PREFIX = "sam.", "audio_backbone.", "stem.cnn."
PretrainedPaths = Path | str | Sequence[Path | str] | None


@dataclass(frozen=True)
class PretrainedDelta:
    """What of a model comes from published checkpoints."""

    refs: PretrainedRefs  # name, size and sha256 of the files
    checksums: Mapping[str, int]  # of each tensor that came from them, by key; any training changes it

    def changed(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The part of a model's state that differs from the checkpoints: new, or trained."""
        return {key: tensor for key, tensor in state.items() if self.checksums.get(key) != checksum(tensor)}


@dataclass(frozen=True)
class PretrainedParts:
    """The parts of a model that are loaded from published checkpoints.

    Attributes:
        sam, audio, stem: the modules; None where there is no checkpoint.
        state: their tensors under the model's keys.
        delta: for the model's ``pretrained``; None where there is no checkpoint at all.
    """

    sam: Sam | None
    audio: AudioBackbone | None
    stem: EfficientNetLite0 | None
    state: Mapping[str, Tensor]
    delta: PretrainedDelta | None


def checksum(tensor: Tensor) -> int:
    """The sum of a tensor's values taken as integers of their width: exact, the same on every device."""
    words = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}[tensor.element_size()]
    return int(tensor.detach().contiguous().view(words).sum(dtype=torch.int64))


def load_pretrained_parts(
    config: SaveConfig,
    *,
    sam: Path | str | None = None,
    audio: Path | str | None = None,
    stem: Path | str | None = None,
) -> PretrainedParts:
    """Load checkpoints, each a path or the name of known weights in the cache, at the config's size."""
    given = {"sam": sam, "audio": audio, "stem": stem}
    files = {part: resolve_weights(path) for part, path in given.items() if path is not None}
    refs = PretrainedRefs(**{part: identify_published(file) for part, file in files.items()})
    return _load_parts(config, refs, files)


def find_pretrained_parts(config: SaveConfig, pretrained: PretrainedPaths = None) -> PretrainedParts:
    """Load the checkpoints that a saved model names; ``find_weights`` says where they are looked for."""
    given = (pretrained,) if isinstance(pretrained, str | Path) else tuple(pretrained or ())
    paths = tuple(Path(path) for path in given)
    files = {part: find_weights(ref, paths) for part, ref in config.pretrained if ref is not None}
    return _load_parts(config, config.pretrained, files)


def _load_parts(config: SaveConfig, refs: PretrainedRefs, files: Mapping[str, Path]) -> PretrainedParts:
    if "stem" in files and config.stem is None:
        raise UsageError(f"{config.name} has no stem: set the model's stem, or leave out its weights")
    sam = _load_matching_sam(config, files["sam"]) if "sam" in files else None
    audio = load_backbone(backbone_class(config.audio), files["audio"]) if "audio" in files else None
    stem = load_efficientnet(files["stem"]) if "stem" in files else None
    # Taken now: once the SAM is part of a model it holds adapters, which no checkpoint has.
    state = {
        prefix + key: tensor
        for prefix, part in ((SAM_PREFIX, sam), (AUDIO_PREFIX, audio), (STEM_PREFIX, stem))
        if part is not None
        for key, tensor in part.state_dict().items()
    }
    checksums = {key: checksum(tensor) for key, tensor in state.items()}
    return PretrainedParts(sam, audio, stem, state, PretrainedDelta(refs, checksums) if refs else None)


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
