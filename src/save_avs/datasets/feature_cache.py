"""Audio features of clips, computed once and kept.

A cache is a folder; in it each backbone has a folder of its own, named by what it is (its name and the hash
of its weights), and each clip a file there, named by the hash of the log-mel patches that went in. So a
feature can never be taken for that of another backbone or another sound, and a run that breaks off goes on
where it was.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from save_avs._files import atomic_path, open_regular
from save_avs.datasets.base import AVDataset, DatasetWrapper
from save_avs.datasets.clips import ClipDataset
from save_avs.errors import DataError, UsageError
from save_avs.types import F32, AVSample

if TYPE_CHECKING:
    from torch import nn

BATCH_CLIPS = 16  # read side by side, and embedded in one go
_PATCHES = 32  # at once: one of OpenL3 takes tens of megabytes on its way
_THREADS = 4
_HASH = 32  # characters of a hash that make a name

Progress = Callable[[int, int], None]


def backbone_identity(name: str, backbone: nn.Module) -> str:
    """What a backbone is: its name, and the hash of its weights, whatever file they came from.

    It is taken over the names, shapes and float32 values of the state dict.
    """
    import torch

    digest = hashlib.sha256()
    for key, tensor in sorted(backbone.state_dict().items()):
        values = tensor.detach().cpu().to(torch.float32).contiguous().numpy()
        digest.update(f"{key} {list(values.shape)};".encode())
        digest.update(values.tobytes())
    return f"{name}-{digest.hexdigest()[:_HASH]}"


@dataclass(frozen=True)
class FeatureCache:
    """The features of one backbone.

    Attributes:
        folder: the cache, which may hold those of other backbones too.
        backbone: its identity.
    """

    folder: Path
    backbone: str

    @classmethod
    def open(cls, folder: str | Path, backbone: str | None = None) -> FeatureCache:
        """Open a cache to read from; the backbone may be left out where there are features of one alone.

        Raises:
            UsageError: when there is no such cache, or not of that backbone.
        """
        folder = Path(folder)
        held = sorted(path.name for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
        if not held:
            raise UsageError(f"{folder} holds no features; make them: save-avs data features --help")
        if backbone is None and len(held) > 1:
            raise UsageError(f"{folder} holds features of {', '.join(held)}: say which are meant")
        if backbone is not None and backbone not in held:
            raise UsageError(
                f"{folder} holds features of {', '.join(held)}, not of {backbone}; "
                "make them with this backbone: save-avs data features --help"
            )
        return cls(folder, backbone or held[0])

    def path(self, log_mel: F32) -> Path:
        """The file for patches, f32 [T,frames,bands]."""
        key = hashlib.sha256(np.ascontiguousarray(log_mel, np.float32).tobytes()).hexdigest()[:_HASH]
        return self.folder / self.backbone / key[:2] / f"{key}.npz"

    def read(self, log_mel: F32) -> F32 | None:
        """The features of patches, f32 [T,D]; None when they are not there, or their file is damaged."""
        path = self.path(log_mel)
        if not path.exists():
            return None
        try:
            with open_regular(path) as stored, np.load(stored, allow_pickle=False) as file:
                features = file["features"]
        # a torn zip may raise anything
        except Exception:
            return None
        fits = features.ndim == 2 and len(features) == len(log_mel) and features.dtype == np.float32
        return features if fits else None

    def write(self, log_mel: F32, features: F32) -> None:
        """Keep the features, f32 [T,D], of patches, whole or not at all."""
        with atomic_path(self.path(log_mel)) as part:
            np.savez(part, features=np.asarray(features, np.float32))


def compute_features(
    clips: ClipDataset,
    backbone: nn.Module,
    cache: FeatureCache,
    *,
    progress: Progress = lambda _, __: None,
) -> int:
    """Compute the features of all clips that the cache does not hold.

    Args:
        clips: any data set.
        backbone: whose patches those of the clips are, to [N,D], in evaluation mode.
        cache: where they go.
        progress: called after each batch of clips.

    Returns:
        how many clips were new.

    Raises:
        DataError: when a clip cannot be read.
    """
    import torch

    new = 0
    for done, batch in _batches(clips):
        lacking = [log_mel for log_mel in batch if cache.read(log_mel) is None]
        if lacking:
            device = next(backbone.parameters()).device
            with torch.inference_mode():
                joined = torch.from_numpy(np.concatenate(lacking)).unsqueeze(1)
                parts = [backbone(part.to(device)).float().cpu() for part in joined.split(_PATCHES)]
                features = torch.cat(parts).numpy()
            cuts = np.cumsum([len(log_mel) for log_mel in lacking])[:-1]
            for log_mel, own in zip(lacking, np.split(features, cuts), strict=True):
                cache.write(log_mel, own)
            new += len(lacking)
        progress(done, len(clips))
    return new


def _batches(clips: ClipDataset) -> Iterator[tuple[int, list[F32]]]:
    """The patches of all clips, some clips at a time, and how many clips are done with them."""
    pool = ThreadPoolExecutor(_THREADS)
    try:
        for start in range(0, len(clips), BATCH_CLIPS):
            numbers = range(start, min(start + BATCH_CLIPS, len(clips)))
            yield numbers.stop, list(pool.map(clips.log_mel, numbers))
    finally:
        pool.shutdown(cancel_futures=True)


@dataclass(frozen=True)
class FeatureDataset(DatasetWrapper):
    """Clips that come with the audio backbone's features.

    Attributes:
        cache: where they are taken from.
    """

    cache: FeatureCache

    def __getitem__(self, i: int) -> AVSample:
        sample = self.clips[i]
        features = self.cache.read(sample.log_mel)
        if features is None:
            raise DataError(
                f"{sample.name}: its features are not in {self.cache.folder / self.cache.backbone}; run: "
                f"save-avs data features {self.name} ROOT --audio {self.cache.backbone.split('-')[0]} "
                f"--weights WEIGHTS -o {self.cache.folder}"
            )
        return replace(sample, features=features)


def with_features(clips: AVDataset, cache: str | Path, *, backbone: str | None = None) -> FeatureDataset:
    """Clips whose samples carry features from a cache.

    Args:
        clips: any data set.
        cache: the folder that ``save-avs data features`` filled.
        backbone: identity of the backbone they must be of; may be left out where the cache knows one alone.

    Raises:
        UsageError: when there is no such cache, or not of that backbone.
    """
    return FeatureDataset(clips, FeatureCache.open(cache, backbone))
