"""Masks of a SAVE from which some of its sound was taken out again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from save_avs.models.save import SAVE


@dataclass(frozen=True)
class Sound:
    """What a model makes of sounds.

    Attributes:
        injections: one [B,C] or None a block.
        prompt: [B,N,C]; None where the decoder is not prompted.
    """

    injections: tuple[Tensor | None, ...]
    prompt: Tensor | None

    @property
    def blocks(self) -> tuple[int, ...]:
        """The blocks that sound reaches."""
        return tuple(i for i, vector in enumerate(self.injections) if vector is not None)

    def mean(self) -> Sound:
        """The average of all of them, as one sound."""
        injections = tuple(None if v is None else v.mean(dim=0, keepdim=True) for v in self.injections)
        return Sound(injections, None if self.prompt is None else self.prompt.mean(dim=0, keepdim=True))


@dataclass(frozen=True)
class Removal:
    """What is taken out.

    Attributes:
        blocks: whose injection.
        prompt: whether the prompt too.
    """

    blocks: frozenset[int]
    prompt: bool = False


@torch.inference_mode()
def hear(model: SAVE, log_mel: Tensor) -> Sound:
    """What a model makes of log-mel patches [B,1,96,64]."""
    features = model.audio_backbone(log_mel.to(model.device, model.dtype))
    injections, prompt = model.audio_adapter(features)
    return Sound(tuple(injections), prompt)


@torch.inference_mode()
def logits_without(
    model: SAVE, images: Tensor, sound: Sound, removal: Removal, stand_in: Sound | None
) -> Tensor:
    """Logits [B,M,M] of images [B,3,S,S] with a part of the sound taken out.

    Args:
        model: of the sound.
        images: RGB 0..255.
        sound: of B frames.
        removal: what is taken out.
        stand_in: a sound of one frame that takes its place; None leaves the place empty.
    """
    frames = len(images)
    injections = [
        _replaced(vector, None if stand_in is None else stand_in.injections[i], frames)
        if i in removal.blocks
        else vector
        for i, vector in enumerate(sound.injections)
    ]
    prompt = sound.prompt
    if removal.prompt:
        prompt = _replaced(prompt, None if stand_in is None else stand_in.prompt, frames)
    embeddings = model.sam.image_encoder(model.sam.preprocess(images.to(model.device)), injections)
    return model.decode(embeddings, prompt)[:, 0].float()


def _replaced(part: Tensor | None, stand_in: Tensor | None, frames: int) -> Tensor | None:
    if part is None or stand_in is None:
        return None
    return stand_in.expand(frames, *stand_in.shape[1:])


def removals(sound: Sound) -> dict[str, Removal]:
    """Each block's injection alone, all of them, the prompt alone, and everything."""
    every = frozenset(sound.blocks)
    found = {f"block {i + 1}": Removal(frozenset({i})) for i in sound.blocks}
    if every:
        found["all blocks"] = Removal(every)
    if sound.prompt is not None:
        found["prompt"] = Removal(frozenset(), prompt=True)
        found["all blocks and prompt"] = Removal(every, prompt=True)
    return found


def stack(sounds: Sequence[Sound]) -> Sound:
    """Several sounds as one batch."""
    first = sounds[0]
    injections = tuple(
        None if vector is None else torch.cat([_known(s.injections[i]) for s in sounds])
        for i, vector in enumerate(first.injections)
    )
    prompt = None if first.prompt is None else torch.cat([_known(s.prompt) for s in sounds])
    return Sound(injections, prompt)


def _known(part: Tensor | None) -> Tensor:
    assert part is not None, "sounds of one model reach the same blocks"
    return part
