"""Faithfulness of the charts: whether ablations confirm what they claim, over many scenes.

The chart of injections claims: the larger a block's injection relative to the tokens it is added to, the more
sound the block contributes to the mask. So each block's injection is removed, or replaced by the average
sound's, and the change of the mask is ranked against the claim. Likewise for the prompt's attention: where it
is high, the mask should change when the prompt is removed.
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
from save_avs.synthesis.sample_streams import render_sample
from save_avs.synthesis.scene import SceneOptions, random_scene
from save_avs.types import F64
from studies.interpretability.ablation import (
    Ablation,
    AudioEmbeddings,
    ablated_logits,
    ablations,
    embed_audio,
)
from studies.interpretability.recorder import prompt_attention, record
from studies.interpretability.sounds import MIDDLE, as_batch

REMOVED, AVERAGED = "removed", "replaced by the average"
_OPTIONS = SceneOptions(source_count_probs=(0.0, 0.5, 0.5), augment=False, texture_prob=0.0)
_BATCH_SIZE = 8

Columns = dict[tuple[str, ...], F64]  # measurements of a batch of scenes, N rows each


class MaskChange(NamedTuple):
    """Change of the masks of N scenes.

    Attributes:
        mask: 1 less the IoU with the mask of the full model, f64 [N].
        probability: mean change of a pixel's probability, f64 [N].
        iou: IoU with the sounding objects, f64 [N].
    """

    mask: F64
    probability: F64
    iou: F64


@dataclass(frozen=True)
class Faithfulness:
    """Claims about N scenes, and changes by ablations.

    Attributes:
        blocks: blocks with an injection.
        norms: norm of each block's injection over that of the tokens, f64 [N,blocks].
        own_norms: the same for its difference from the average sound's injection, f64 [N,blocks].
        iou: IoU of the full model with the sounding objects, f64 [N].
        changes: by kind (`REMOVED`, `AVERAGED`) and ablation.
        attention: by layer, the rank correlation over a scene's cells between the prompt's attention and the
            change when the prompt is removed, f64 [N].
    """

    blocks: tuple[int, ...]
    norms: F64
    own_norms: F64
    iou: F64
    changes: dict[str, dict[str, MaskChange]]
    attention: dict[str, F64]

    def mask_changes(self, kind: str) -> F64:
        """Change of the mask without each block's injection, [N,blocks]."""
        return np.stack([self.changes[kind][f"block {i + 1}"].mask for i in self.blocks], axis=1)


def measure_faithfulness(
    model: SAVE,
    corpus: Corpus,
    average: AudioEmbeddings,
    *,
    scenes: int,
    seed: int,
    progress: Callable[[int], None] = lambda _: None,
) -> Faithfulness:
    """Ablate the audio embeddings of random scenes, part by part.

    Args:
        model: in evaluation mode; it runs in the precision of its weights.
        corpus: that scenes are made of.
        average: embeddings of one sound, the average one.
        scenes: number of scenes; scene i depends on (seed, i).
        seed: of the scenes.
        progress: called with the number of scenes done.
    """
    batches: list[Columns] = []
    blocks: tuple[int, ...] = ()
    for images, log_mel, targets in _scene_batches(corpus, scenes, seed, model):
        audio = embed_audio(model, log_mel)
        blocks = audio.blocks
        batches.append(_measure_batch(model, images, log_mel, targets, audio, average))
        progress(sum(len(batch["iou",]) for batch in batches))
    joined = {key: np.concatenate([batch[key] for batch in batches]) for key in batches[0]}
    changes: dict[str, dict[str, MaskChange]] = {REMOVED: {}, AVERAGED: {}}
    for key in joined:
        if key[0] == "change":
            _, kind, name, _ = key
            columns = (joined["change", kind, name, part] for part in MaskChange._fields)
            changes[kind].setdefault(name, MaskChange(*columns))
    attention = {key[1]: values for key, values in joined.items() if key[0] == "attention"}
    return Faithfulness(blocks, joined["norms",], joined["own_norms",], joined["iou",], changes, attention)


def _scene_batches(
    corpus: Corpus, scenes: int, seed: int, model: SAVE
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Images u8 [B,3,S,S], log-mel [B,1,frames,bands] and targets bool [B,S,S]."""
    for start in range(0, scenes, _BATCH_SIZE):
        samples = []
        for i in range(start, min(start + _BATCH_SIZE, scenes)):
            scene = random_scene(np.random.default_rng((seed, i)), corpus, _OPTIONS)
            samples.append(
                render_sample(scene, [MIDDLE], model.image_size, f"scene-{i}", frontend=model.frontend)[0]
            )
        frames, log_mel, masks = (
            np.concatenate([getattr(s, name) for s in samples]) for name in ("frames", "log_mel", "masks")
        )
        yield torch.from_numpy(frames).permute(0, 3, 1, 2), as_batch(log_mel), torch.from_numpy(masks)


def _measure_batch(
    model: SAVE,
    images: Tensor,
    log_mel: Tensor,
    targets: Tensor,
    audio: AudioEmbeddings,
    average: AudioEmbeddings,
) -> Columns:
    recording = record(model, images, log_mel)
    full = recording.logits[:, 0]
    target = F.interpolate(targets[:, None].float(), full.shape[-2:], mode="nearest-exact")[:, 0]
    target = target.to(full.device) > 0
    norms = _columns([recording.relative_norm(i) for i in audio.blocks], len(images))
    own = _columns([_own_share(audio, average, i) for i in audio.blocks], len(images))
    found: Columns = {("norms",): norms, ("own_norms",): norms * own, ("iou",): _ious(full > 0, target)}
    for kind, replacement in ((REMOVED, None), (AVERAGED, average)):
        for name, ablation in ablations(audio).items():
            logits = ablated_logits(model, images, audio, ablation, replacement)
            for part, values in _change(logits, full, target)._asdict().items():
                found["change", kind, name, part] = values
    if audio.prompt is not None:
        without = ablated_logits(model, images, audio, Ablation(frozenset(), prompt=True), None)
        change = (full.sigmoid() - without.sigmoid()).abs()
        for layer in recording.attention:
            attention = prompt_attention(model, recording, layer)
            found["attention", layer] = _cell_correlations(attention, change)
    return found


def _columns(blocks: Sequence[Tensor], frames: int) -> F64:
    """[B] per block to [B,blocks]."""
    return torch.stack(list(blocks), dim=1).double().cpu().numpy() if blocks else np.zeros((frames, 0))


def _own_share(audio: AudioEmbeddings, average: AudioEmbeddings, block: int) -> Tensor:
    """Norm of an injection's difference from the average one, over its norm, [B]."""
    vector, mean = audio.injections[block], average.injections[block]
    assert vector is not None and mean is not None, "all sounds of a model have the same injections"
    return (vector - mean).norm(dim=-1) / vector.norm(dim=-1).clamp(min=1e-12)


def _change(logits: Tensor, full: Tensor, target: Tensor) -> MaskChange:
    return MaskChange(
        mask=1 - _ious(logits > 0, full > 0),
        probability=(logits.sigmoid() - full.sigmoid()).abs().mean(dim=(1, 2)).double().cpu().numpy(),
        iou=_ious(logits > 0, target),
    )


def _ious(masks: Tensor, others: Tensor) -> F64:
    """IoU of each pair, [B]; 1 for two empty masks."""
    intersection = (masks & others).flatten(1).sum(dim=1).double()
    union = (masks | others).flatten(1).sum(dim=1).double()
    return torch.where(union > 0, intersection / union.clamp(min=1), 1.0).cpu().numpy()


def _cell_correlations(attention: Tensor, change: Tensor) -> F64:
    """Rank correlation over cells of attention [B,h,w] and change [B,M,M], [B]."""
    height, width = attention.shape[-2:]
    cells = F.adaptive_avg_pool2d(change[:, None], (height, width))[:, 0]
    pairs = zip(attention.flatten(1).cpu().numpy(), cells.flatten(1).cpu().numpy(), strict=True)
    return np.array([rank_correlation(a, b) for a, b in pairs])


def rank_correlation(first: Sequence[float] | F64, second: Sequence[float] | F64) -> float:
    """Spearman's rho; NaN where one of them does not vary."""
    if np.ptp(first) == 0 or np.ptp(second) == 0:
        return float("nan")
    return float(np.corrcoef(_ranks(first), _ranks(second))[0, 1])


def _ranks(values: Sequence[float] | F64) -> F64:
    """Ranks; equal values share their mean rank."""
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(count) - (count - 1) / 2)[place]
