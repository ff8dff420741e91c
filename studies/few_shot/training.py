"""Training of baselines on seen classes, and fine-tuning on a few examples."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from save_avs.losses import save_loss
from save_avs.models.freeze import freeze_except
from save_avs.models.preprocess import postprocess_logits
from save_avs.models.save import SAVE
from save_avs.training.clip_dataset import EpochShuffle
from save_avs.training.optimizer import Optimizers
from save_avs.training.stage_schedule import cosine_with_warmup
from studies.few_shot.baselines import Baseline, Gavs, PrototypeBaseline
from studies.few_shot.frames import FrameSet

Network = SAVE | Baseline
FINETUNED = ("adapter", "audio_adapter", "mask_decoder")  # parts of SAVE, as in its recipes
WEIGHT_DECAY, GRAD_CLIP_NORM, WARMUP_SHARE = 0.01, 1.0, 0.05


def predict(network: Network, frames: FrameSet) -> Tensor:
    """Return logits [B,1,M,M]."""
    with autocast(network):
        if isinstance(network, Baseline):
            return network.segment(frames.features).float()
        return network(frames.images, frames.log_mel).float()


def autocast(network: Network) -> AbstractContextManager[object]:
    """Automatic mixed precision if the model runs in bf16."""
    return torch.autocast(network.device.type, torch.bfloat16, enabled=network.precision == "bf16")


def compute_loss(network: Network, frames: FrameSet) -> Tensor:
    """SAVE's loss, plus the alignment of sound and image for GAVS."""
    annotated = torch.ones(len(frames), dtype=torch.bool, device=frames.masks.device)
    total = save_loss(predict(network, frames), frames.masks, annotated).total
    if isinstance(network, Gavs):
        total = total + network.misalignment(frames.features, frames.masks)
    return total


def _optimize(
    parameters: Mapping[str, nn.Parameter],
    loss_at: Callable[[int], Tensor],
    *,
    steps: int,
    lr: float,
    seed: int,
) -> None:
    """AdamW with warmup and cosine decay; all randomness comes from the seed."""
    optimizers = Optimizers(parameters, muon=False, lr=lr, weight_decay=WEIGHT_DECAY)
    with torch.random.fork_rng(), torch.enable_grad():
        torch.manual_seed(seed)
        for step in range(steps):
            loss_at(step).backward()
            nn.utils.clip_grad_norm_(parameters.values(), GRAD_CLIP_NORM)
            optimizers.step(cosine_with_warmup(step, steps, max(1, round(WARMUP_SHARE * steps))))
            optimizers.zero_grad()


def train_on_frames(
    network: Network, frames: FrameSet, *, epochs: int, batch_size: int, lr: float, seed: int
) -> None:
    """Train for some epochs in random order, and leave the network in evaluation mode."""
    batch_size = min(batch_size, len(frames))
    order = EpochShuffle(len(frames), seed)

    def loss_at(step: int) -> Tensor:
        rows = [order[step * batch_size + k][1] for k in range(batch_size)]
        return compute_loss(network, frames.take(rows))

    parameters = _unfreeze(network)
    _optimize(parameters, loss_at, steps=-(-epochs * len(frames) // batch_size), lr=lr, seed=seed)
    network.requires_grad_(False).eval()


def train_on_clips(network: Gavs, clips: Sequence[FrameSet], *, epochs: int, lr: float, seed: int) -> None:
    """Train by GAVS's own recipe, and leave the network in evaluation mode.

    A step has all frames of one clip. AdamW with PyTorch's defaults keeps its rate, and no gradient is
    clipped.

    Source: the code of GAVS (arXiv 2309.07929).
    """
    order, parameters = EpochShuffle(len(clips), seed), _unfreeze(network)
    optimizer = torch.optim.AdamW(parameters.values(), lr=lr)
    with torch.random.fork_rng(), torch.enable_grad():
        torch.manual_seed(seed)
        for step in range(epochs * len(clips)):
            cross_entropy(network, clips[order[step][1]]).backward()
            optimizer.step()
            optimizer.zero_grad()
    network.requires_grad_(False).eval()


def cross_entropy(network: Baseline, frames: FrameSet) -> Tensor:
    """Mean over frames of the binary cross-entropy, each at its own size."""
    losses = []
    for logits, target in zip(predict(network, frames), frames.targets, strict=True):
        height, width = target.shape
        own = postprocess_logits(logits[0], height, width, network.resize)
        losses.append(F.binary_cross_entropy_with_logits(own, target.to(own)))
    return torch.stack(losses).mean()


def train_on_episodes(
    network: PrototypeBaseline,
    seen: FrameSet,
    *,
    episodes: int,
    ways: int,
    shots: int,
    queries: int,
    lr: float,
    seed: int,
) -> None:
    """Train on episodes; episode i depends on (seed, i), with ``ways`` classes of up to ``shots`` examples.

    The loss is that of the masks, plus the cross-entropy of the sounding class.

    Source: Vinyals et al. 2016, arXiv 1606.04080.
    """
    rows = [part for part in seen.rows_by_class().values() if len(part) > 1]

    def loss_at(step: int) -> Tensor:
        rng = np.random.default_rng((seed, step))
        classes = rng.permutation(len(rows))[:ways]
        count = int(rng.integers(1, shots + 1))
        drawn = [_split(rng.permutation(rows[c]).tolist(), count, queries) for c in classes]
        network.set_support(seen.take([row for examples, _ in drawn for row in examples]).support())
        asked = seen.take([row for _, part in drawn for row in part])
        log_probs = network.audio_log_probs(asked.features.audio, network.prototypes)
        return compute_loss(network, asked) + F.nll_loss(log_probs, asked.support().classes)

    _optimize(_unfreeze(network), loss_at, steps=episodes, lr=lr, seed=seed)
    network.requires_grad_(False).eval()


def _split(rows: list[int], examples: int, queries: int) -> tuple[list[int], list[int]]:
    """Examples, then queries; at least one row is a query."""
    count = min(examples, len(rows) - 1)
    return rows[:count], rows[count : count + queries]


def _unfreeze(network: Network) -> dict[str, nn.Parameter]:
    """Set training mode, and return the parameters that are trained, by name."""
    names = [name.split(".") for name, _ in network.named_parameters()]
    wanted = network.trainable if isinstance(network, Baseline) else FINETUNED
    network.train()
    freeze_except(network, [part for part in wanted if any(part in name for name in names)])
    return {name: p for name, p in network.named_parameters() if p.requires_grad}
