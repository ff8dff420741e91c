"""Average audio embeddings of each class, and the similarity of classes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from save_avs.models.save import SAVE
from save_avs.synthesis.corpus import Corpus
from save_avs.synthesis.sample_streams import scene_log_mel
from save_avs.synthesis.scene import random_audio_source
from save_avs.types import F64
from studies.interpretability.ablation import AudioEmbeddings, embed_audio, stack_embeddings

SPAN, MIDDLE = (0.0, 1.2), 0.6  # seconds
SOUNDS_PER_CLASS = 8


@dataclass(frozen=True)
class ClassEmbeddings:
    """The average audio embeddings of K classes.

    Attributes:
        names: of the classes.
        audio: a sound per class.
    """

    names: tuple[str, ...]
    audio: AudioEmbeddings

    def vectors(self) -> F64:
        """Injections of all blocks, concatenated, [K,blocks*C]; the prompt if there are no injections."""
        parts = [vector for vector in self.audio.injections if vector is not None]
        if not parts and self.audio.prompt is not None:
            parts = [self.audio.prompt.flatten(1)]
        return torch.cat(parts, dim=1).double().cpu().numpy()

    def cosines(self) -> F64:
        """Cosine similarity of the classes' vectors less their mean, [K,K]."""
        vectors = self.vectors()
        centered = vectors - vectors.mean(axis=0)
        centered /= np.linalg.norm(centered, axis=1, keepdims=True).clip(min=1e-12)
        return centered @ centered.T

    def common_share(self) -> float:
        """Norm of the mean vector over the mean norm of the vectors; 1 if all classes are the same."""
        vectors = self.vectors()
        return float(np.linalg.norm(vectors.mean(axis=0)) / np.linalg.norm(vectors, axis=1).mean())


def class_embeddings(model: SAVE, corpus: Corpus, *, seed: int) -> ClassEmbeddings:
    """Average the audio embeddings of `SOUNDS_PER_CLASS` sounds of each class of a corpus."""
    means = []
    for k, name in enumerate(corpus.sounding):
        rng = np.random.default_rng((seed, k))
        sources = [
            random_audio_source(rng, corpus, name, SPAN, augment=False) for _ in range(SOUNDS_PER_CLASS)
        ]
        log_mel = np.concatenate([scene_log_mel((source,), [MIDDLE], model.frontend) for source in sources])
        means.append(embed_audio(model, as_batch(log_mel)).mean())
    return ClassEmbeddings(corpus.sounding, stack_embeddings(means))


def as_batch(log_mel: np.ndarray) -> Tensor:
    """Log-mel f32 [N,frames,bands] to the model's input [N,1,frames,bands]."""
    return torch.from_numpy(log_mel).unsqueeze(1)


def seriation_order(cosines: F64) -> list[int]:
    """Order classes so that similar ones are neighbors.

    Source: Atkins, Boman and Hendrickson 1998, "A spectral algorithm for seriation": the order of the graph
    Laplacian's second eigenvector.
    """
    similarity = (1 + cosines) / 2
    _, vectors = np.linalg.eigh(np.diag(similarity.sum(axis=1)) - similarity)
    return np.argsort(vectors[:, min(1, len(cosines) - 1)], kind="stable").tolist()
