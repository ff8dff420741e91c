"""Audio features of clips, computed once and stored.

A cache is a folder with one folder for each backbone, named by the backbone and the hash of its weights. Each
clip is a file in it, named by the hash of its log-mel patches. So features are never mistaken for those of
another backbone or other audio, and an interrupted run resumes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from save_avs._files import atomic_path, open_regular
from save_avs.datasets.image_and_video_clips import ClipDataset
from save_avs.errors import DataError, UsageError
from save_avs.types import F32, AVSample

if TYPE_CHECKING:
    from torch import nn

BATCH_CLIPS = 16  # read in parallel, and embedded together
_PATCHES = 32  # per forward pass: a patch of OpenL3 takes tens of megabytes of activations
_THREADS = 4
_HASH = 32  # characters of a hash in a name

Progress = Callable[[int, int], None]


def backbone_identity(name: str, backbone: nn.Module) -> str:
    """Identify a backbone by its name and a hash of the names, shapes and values of its state dict."""
    import torch

    digest = hashlib.sha256()
    for key, tensor in sorted(backbone.state_dict().items()):
        values = tensor.detach().cpu().to(torch.float32).contiguous().numpy()
        digest.update(f"{key} {list(values.shape)};".encode())
        digest.update(values.tobytes())
    return f"{name}-{digest.hexdigest()[:_HASH]}"


@dataclass(frozen=True)
class FeatureCache:
    """Stored features of one backbone."""

    folder: Path  # the cache, which may also hold features of other backbones
    backbone: str  # identity of this one

    @classmethod
    def open(cls, folder: str | Path, backbone: str | None = None) -> FeatureCache:
        """Open a cache for reading; the backbone is optional if there are features of only one.

        A UsageError if there is no such cache, or it has no features of that backbone.
        """
        folder = Path(folder)
        stored = sorted(path.name for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
        if not stored:
            raise UsageError(f"{folder} has no features; compute them: save-avs data features --help")
        if backbone is None and len(stored) > 1:
            raise UsageError(f"{folder} has features of several backbones, name one: {', '.join(stored)}")
        if backbone is not None and backbone not in stored:
            raise UsageError(
                f"{folder} has features of {', '.join(stored)}, not of {backbone}; "
                "compute them with this backbone: save-avs data features --help"
            )
        return cls(folder, backbone or stored[0])

    def path(self, log_mel: F32) -> Path:
        """Return the file for log-mel patches, f32 [T,frames,bands]."""
        key = hashlib.sha256(np.ascontiguousarray(log_mel, np.float32).tobytes()).hexdigest()[:_HASH]
        return self.folder / self.backbone / key[:2] / f"{key}.npz"

    def read(self, log_mel: F32) -> F32 | None:
        """Read the features of log-mel patches, f32 [T,D]; None if they are missing or damaged."""
        try:
            with open_regular(self.path(log_mel)) as stored, np.load(stored, allow_pickle=False) as file:
                features = file["features"]
        except Exception:  # a truncated zip may raise anything
            return None
        valid = features.ndim == 2 and len(features) == len(log_mel) and features.dtype == np.float32
        return features if valid else None

    def write(self, log_mel: F32, features: F32) -> None:
        """Store the features, f32 [T,D], of log-mel patches; the file appears complete or not at all."""
        with atomic_path(self.path(log_mel)) as part:
            np.savez(part, features=np.asarray(features, np.float32))


def compute_features(
    clips: ClipDataset,
    backbone: nn.Module,
    cache: FeatureCache,
    *,
    progress: Progress = lambda _, __: None,
) -> int:
    """Compute the features of all clips that are not in the cache; returns the number of new ones.

    The backbone, in evaluation mode, takes the log-mel of its front-end, [N,1,frames,bands], to features
    [N,D]. ``progress`` is called after each batch with the clips done and in all.
    """
    import torch

    new, device = 0, next(backbone.parameters()).device
    with ThreadPoolExecutor(_THREADS) as pool:
        for start in range(0, len(clips), BATCH_CLIPS):
            indices = range(start, min(start + BATCH_CLIPS, len(clips)))
            missing = [m for m in pool.map(clips.log_mel, indices) if cache.read(m) is None]
            if missing:
                with torch.inference_mode():
                    joined = torch.from_numpy(np.concatenate(missing)).unsqueeze(1)
                    parts = [backbone(part.to(device)).float().cpu() for part in joined.split(_PATCHES)]
                own = torch.cat(parts).split([len(log_mel) for log_mel in missing])
                for log_mel, features in zip(missing, own, strict=True):
                    cache.write(log_mel, features.numpy())
                new += len(missing)
            progress(indices.stop, len(clips))
    return new


@dataclass(frozen=True)
class FeatureDataset(ClipDataset):
    """Clips with the audio backbone's features."""

    cache: FeatureCache = field(kw_only=True)

    def read(self, i: int, *, waveform: F32 | None = None) -> AVSample:
        """Read a clip, and the features of its log-mel from the cache."""
        sample = super().read(i, waveform=waveform)
        features = self.cache.read(sample.log_mel)
        if features is None:
            raise DataError(
                f"{sample.name}: features not found in {self.cache.folder / self.cache.backbone}; run: "
                f"save-avs data features {self.name} ROOT --audio {self.cache.backbone.split('-')[0]} "
                f"--weights WEIGHTS -o {self.cache.folder}"
            )
        return replace(sample, features=features)


def with_features(clips: ClipDataset, cache: str | Path, *, backbone: str | None = None) -> FeatureDataset:
    """Add features from a cache, made by ``save-avs data features``, to the samples of a dataset.

    ``backbone``, their backbone's identity, is optional if the cache has features of only one.
    """
    return FeatureDataset(**vars(clips), cache=FeatureCache.open(cache, backbone))
