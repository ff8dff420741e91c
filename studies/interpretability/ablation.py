"""Ablation: masks of a SAVE with parts of its audio embeddings removed or replaced."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from save_avs.models.save import SAVE


@dataclass(frozen=True)
class AudioEmbeddings:
    """Outputs of the audio adapter for B sounds.

    Attributes:
        injections: of each block, [B,C] or None.
        prompt: prompt tokens of the decoder, [B,N,C], or None.
    """

    injections: tuple[Tensor | None, ...]
    prompt: Tensor | None

    @property
    def blocks(self) -> tuple[int, ...]:
        """The blocks with an injection."""
        return tuple(i for i, vector in enumerate(self.injections) if vector is not None)

    def mean(self) -> AudioEmbeddings:
        """The average over all sounds, as one sound."""
        injections = tuple(None if v is None else v.mean(dim=0, keepdim=True) for v in self.injections)
        prompt = None if self.prompt is None else self.prompt.mean(dim=0, keepdim=True)
        return AudioEmbeddings(injections, prompt)


@dataclass(frozen=True)
class Ablation:
    """The parts that are removed: injections of ``blocks``, and the decoder's prompt."""

    blocks: frozenset[int]
    prompt: bool = False


@torch.inference_mode()
def embed_audio(model: SAVE, log_mel: Tensor) -> AudioEmbeddings:
    """Embed log-mel inputs [B,1,frames,bands]."""
    features = model.audio_backbone(log_mel.to(model.device, model.dtype))
    injections, prompt = model.audio_adapter(features)
    return AudioEmbeddings(tuple(injections), prompt)


@torch.inference_mode()
def ablated_logits(
    model: SAVE,
    images: Tensor,
    audio: AudioEmbeddings,
    ablation: Ablation,
    replacement: AudioEmbeddings | None,
) -> Tensor:
    """Return logits [B,M,M] of images [B,3,S,S] with a part of the audio embeddings ablated.

    Args:
        model: that made the embeddings.
        images: RGB 0..255.
        audio: of B frames.
        ablation: the parts that are removed.
        replacement: embeddings of one sound that replace them; None removes them.
    """
    frames = len(images)
    injections = [
        _ablate(vector, None if replacement is None else replacement.injections[i], frames)
        if i in ablation.blocks
        else vector
        for i, vector in enumerate(audio.injections)
    ]
    prompt = audio.prompt
    if ablation.prompt:
        prompt = _ablate(prompt, None if replacement is None else replacement.prompt, frames)
    embeddings = model.sam.image_encoder(model.sam.preprocess(images.to(model.device)), injections)
    return model.decode(embeddings, prompt)[:, 0].float()


def _ablate(part: Tensor | None, replacement: Tensor | None, frames: int) -> Tensor | None:
    if part is None or replacement is None:
        return None
    return replacement.expand(frames, *replacement.shape[1:])


def ablations(audio: AudioEmbeddings) -> dict[str, Ablation]:
    """Each block's injection alone, all of them, the prompt alone, and everything."""
    every = frozenset(audio.blocks)
    found = {f"block {i + 1}": Ablation(frozenset({i})) for i in audio.blocks}
    if every:
        found["all blocks"] = Ablation(every)
    if audio.prompt is not None:
        found["prompt"] = Ablation(frozenset(), prompt=True)
        found["all blocks and prompt"] = Ablation(every, prompt=True)
    return found


def stack_embeddings(parts: Sequence[AudioEmbeddings]) -> AudioEmbeddings:
    """Join the embeddings of several sounds of one model as a batch."""

    def join(tensors: Sequence[Tensor | None]) -> Tensor | None:
        known = [t for t in tensors if t is not None]
        return torch.cat(known) if known else None

    columns = zip(*(part.injections for part in parts), strict=True)
    return AudioEmbeddings(tuple(map(join, columns)), join([part.prompt for part in parts]))
