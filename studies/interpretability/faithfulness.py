"""Whether what a picture of the inside claims is what taking it away shows, over many scenes.

The picture claims: the larger a block's injection beside the tokens it is added to, the more of the sound the
block brings into the mask. So each block's injection is taken out, or the average sound put in its place, and
the change of the mask is ranked beside the claim. Likewise the prompt's attention: where it looks, the mask
should change when the prompt is taken out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from save_avs.models.save import SAVE
from save_avs.synthesis.corpus import Corpus
from save_avs.synthesis.scene import SceneOptions, random_scene
from save_avs.synthesis.streams import render_sample
from save_avs.types import F64
from studies.interpretability.recorder import prompt_attention, record
from studies.interpretability.removal import Removal, Sound, hear, logits_without, removals
from studies.interpretability.sounds import MIDDLE, batch_of

TAKEN_OUT, AVERAGE = "taken out", "average sound instead"
_OPTIONS = SceneOptions(source_count_probs=(0.0, 0.5, 0.5), augment=False, texture_prob=0.0)
_BATCH = 8


class Claims(NamedTuple):
    """What a block's picture says, one number a scene and block: [N,blocks].

    Attributes:
        whole: norm of the injection over that of the tokens.
        own: the same of what it has beside the average sound's.
    """

    whole: F64
    own: F64


@dataclass(frozen=True)
class Change:
    """What became of the masks of N scenes.

    Attributes:
        mask: 1 less the IoU with the mask of the whole model, f64 [N].
        probability: mean change of a pixel's probability, f64 [N].
        iou: with what sounds, f64 [N].
    """

    mask: F64
    probability: F64
    iou: F64


@dataclass(frozen=True)
class Faithfulness:
    """Claims and changes of N scenes.

    Attributes:
        blocks: those that sound reaches.
        claims: of these blocks.
        iou: of the whole model with what sounds, f64 [N].
        changes: by what was done (`TAKEN_OUT`, `AVERAGE`) and to what (see `removals`).
        attention: by layer, the rank correlation over a scene's cells between how much the prompt looks at a
            cell and how much the cell changes when the prompt is taken out, f64 [N].
    """

    blocks: tuple[int, ...]
    claims: Claims
    iou: F64
    changes: dict[str, dict[str, Change]]
    attention: dict[str, F64]

    def mask_changes(self, how: str) -> F64:
        """How the mask changes without each block's injection, [N,blocks]."""
        changes = self.changes[how]
        return np.stack([changes[f"block {i + 1}"].mask for i in self.blocks], axis=1)


def measure(
    model: SAVE,
    corpus: Corpus,
    average: Sound,
    *,
    scenes: int,
    seed: int,
    progress: Callable[[int], None] = lambda _: None,
) -> Faithfulness:
    """Take sound out of scenes drawn from (seed, number), part by part.

    Args:
        model: in evaluation mode; it computes in the precision of its weights.
        corpus: what scenes are drawn from.
        average: the sound of one frame that stands in for the average one.
        scenes: how many.
        seed: what they are drawn from.
        progress: called with the number of scenes done.
    """
    parts = []
    for images, log_mel, truths in _scenes(corpus, scenes, seed, model):
        parts.append(_measure_batch(model, images, log_mel, truths, average))
        progress(sum(len(part.iou) for part in parts))
    return _joined(parts)


def _scenes(corpus: Corpus, scenes: int, seed: int, model: SAVE) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Images u8 [B,3,S,S], patches [B,1,frames,bands] and truths bool [B,S,S]."""
    side, frontend = model.image_size, model.frontend
    for start in range(0, scenes, _BATCH):
        samples = []
        for i in range(start, min(start + _BATCH, scenes)):
            scene = random_scene(np.random.default_rng((seed, i)), corpus, _OPTIONS)
            samples.append(render_sample(scene, [MIDDLE], side, f"scene-{i}", frontend=frontend)[0])
        frames, log_mel, masks = (
            np.concatenate([getattr(s, name) for s in samples]) for name in ("frames", "log_mel", "masks")
        )
        yield torch.from_numpy(frames).permute(0, 3, 1, 2), batch_of(log_mel), torch.from_numpy(masks)


def _measure_batch(
    model: SAVE, images: Tensor, log_mel: Tensor, truths: Tensor, average: Sound
) -> Faithfulness:
    recording = record(model, images, log_mel)
    whole, sound = recording.logits[:, 0], hear(model, log_mel)
    changes = {
        how: {
            name: _change(logits_without(model, images, sound, removal, stand_in), whole, truths)
            for name, removal in removals(sound).items()
        }
        for how, stand_in in ((TAKEN_OUT, None), (AVERAGE, average))
    }
    claimed = _side_by_side([recording.relative_norm(i) for i in sound.blocks], len(images))
    own = _side_by_side([_own_share(sound, average, i) for i in sound.blocks], len(images))
    attention: dict[str, F64] = {}
    if sound.prompt is not None:
        unprompted = logits_without(model, images, sound, Removal(frozenset(), prompt=True), None)
        moved = (whole.sigmoid() - unprompted.sigmoid()).abs()
        for layer in recording.attention:
            attention[layer] = _agreement(prompt_attention(model, recording, layer), moved)
    return Faithfulness(
        blocks=sound.blocks,
        claims=Claims(claimed, claimed * own),
        iou=_ious(whole > 0, _small(truths, whole)),
        changes=changes,
        attention=attention,
    )


def _side_by_side(blocks: Sequence[Tensor], frames: int) -> F64:
    """One [B] a block as [B,blocks]; no block makes [B,0]."""
    return torch.stack(list(blocks), dim=1).double().cpu().numpy() if blocks else np.zeros((frames, 0))


def _own_share(sound: Sound, average: Sound, block: int) -> Tensor:
    """Norm of what an injection has beside the average one, over its whole norm, [B]."""
    vector, mean = sound.injections[block], average.injections[block]
    assert vector is not None and mean is not None, "sounds of one model reach the same blocks"
    return (vector - mean).norm(dim=-1) / vector.norm(dim=-1).clamp(min=1e-12)


def _change(logits: Tensor, whole: Tensor, truths: Tensor) -> Change:
    return Change(
        mask=1 - _ious(logits > 0, whole > 0),
        probability=(logits.sigmoid() - whole.sigmoid()).abs().mean(dim=(1, 2)).double().cpu().numpy(),
        iou=_ious(logits > 0, _small(truths, whole)),
    )


def _small(truths: Tensor, like: Tensor) -> Tensor:
    """Truths [B,S,S] at the size of logits [B,M,M]."""
    small = F.interpolate(truths[:, None].float(), like.shape[-2:], mode="nearest-exact")
    return small[:, 0].to(like.device) > 0


def _ious(masks: Tensor, others: Tensor) -> F64:
    """IoU of each pair, [B]; two empty masks are alike."""
    both, either = (
        (op(masks, others)).flatten(1).sum(dim=1).double() for op in (torch.mul, torch.logical_or)
    )
    return torch.where(either > 0, both / either.clamp(min=1), 1.0).cpu().numpy()


def _agreement(attention: Tensor, moved: Tensor) -> F64:
    """Rank correlation over cells of attention [B,h,w] and change [B,M,M], [B]."""
    height, width = attention.shape[-2:]
    cells = F.adaptive_avg_pool2d(moved[:, None], (height, width))[:, 0]
    pairs = zip(attention.flatten(1).cpu().numpy(), cells.flatten(1).cpu().numpy(), strict=True)
    return np.array([rank_correlation(a, b) for a, b in pairs])


def rank_correlation(first: Sequence[float] | F64, second: Sequence[float] | F64) -> float:
    """Spearman's rho; NaN where one of them does not vary."""
    if np.ptp(first) == 0 or np.ptp(second) == 0:
        return float("nan")
    return float(np.corrcoef(_ranks(first), _ranks(second))[0, 1])


def _ranks(values: Sequence[float] | F64) -> F64:
    """Places in order of size; equal values share the mean of theirs."""
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(count) - (count - 1) / 2)[place]


def _joined(parts: Sequence[Faithfulness]) -> Faithfulness:
    """Batches as one."""
    first = parts[0]

    def all_of(pick: Callable[[Faithfulness], F64]) -> F64:
        return np.concatenate([pick(part) for part in parts])

    def change(how: str, name: str) -> Change:
        return Change(
            mask=all_of(lambda p: p.changes[how][name].mask),
            probability=all_of(lambda p: p.changes[how][name].probability),
            iou=all_of(lambda p: p.changes[how][name].iou),
        )

    return Faithfulness(
        blocks=first.blocks,
        claims=Claims(all_of(lambda p: p.claims.whole), all_of(lambda p: p.claims.own)),
        iou=all_of(lambda p: p.iou),
        changes={how: {name: change(how, name) for name in first.changes[how]} for how in first.changes},
        attention={layer: all_of(lambda p, n=layer: p.attention[n]) for layer in first.attention},
    )
