"""What a model makes of many sounds of each class, and how alike classes are to it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from save_avs.models.save import SAVE
from save_avs.synthesis.corpus import Corpus
from save_avs.synthesis.scene import random_audio_source
from save_avs.synthesis.streams import scene_log_mel as patches_of
from save_avs.types import F64
from studies.interpretability.removal import Sound, hear, stack

SPAN, MIDDLE = (0.0, 1.2), 0.6  # seconds
DRAWS = 8  # sounds of a class that are averaged


@dataclass(frozen=True)
class ClassSounds:
    """The average sound of each class.

    Attributes:
        names: of the classes, K of them.
        sounds: K frames.
    """

    names: tuple[str, ...]
    sounds: Sound

    def injections(self) -> F64:
        """Of all blocks side by side, [K,blocks*C]; the prompt's where sound reaches no block."""
        parts = [vector for vector in self.sounds.injections if vector is not None]
        if not parts and self.sounds.prompt is not None:
            parts = [self.sounds.prompt.flatten(1)]
        return torch.cat(parts, dim=1).double().cpu().numpy()

    def cosines(self) -> F64:
        """How alike what each class adds is to what each other adds, less what all of them add, [K,K]."""
        vectors = self.injections()
        own = vectors - vectors.mean(axis=0)
        own /= np.linalg.norm(own, axis=1, keepdims=True).clip(min=1e-12)
        return own @ own.T

    def common_share(self) -> float:
        """Norm of what all classes add over the mean norm of what each does: 1 where they do not differ."""
        vectors = self.injections()
        return float(np.linalg.norm(vectors.mean(axis=0)) / np.linalg.norm(vectors, axis=1).mean())


def class_sounds(model: SAVE, corpus: Corpus, *, seed: int) -> ClassSounds:
    """Average what a model makes of `DRAWS` sounds of every class of a corpus."""
    means = []
    for k, name in enumerate(corpus.sounding):
        rng = np.random.default_rng((seed, k))
        audio_sources = [random_audio_source(rng, corpus, name, SPAN, augment=False) for _ in range(DRAWS)]
        log_mel = np.concatenate([patches_of((voice,), [MIDDLE], model.frontend) for voice in audio_sources])
        means.append(hear(model, batch_of(log_mel)).mean())
    return ClassSounds(corpus.sounding, stack(means))


def batch_of(log_mel: np.ndarray) -> Tensor:
    """Patches f32 [N,frames,bands] as a model takes them, [N,1,frames,bands]."""
    return torch.from_numpy(log_mel).unsqueeze(1)


def neighbors_first(cosines: F64) -> list[int]:
    """An order of the classes in which alike ones stand together.

    It is that of the graph Laplacian's second eigenvector (Atkins, Boman and Hendrickson 1998, "A spectral
    algorithm for seriation").
    """
    likeness = (1 + cosines) / 2
    _, vectors = np.linalg.eigh(np.diag(likeness.sum(axis=1)) - likeness)
    return np.argsort(vectors[:, min(1, len(cosines) - 1)], kind="stable").tolist()
