"""How the heads learn from seen classes, and how a model goes on with a few examples."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from save_avs.losses import save_loss
from save_avs.models.adapters import freeze_except
from save_avs.models.baselines import Baseline, Gavs, PrototypeBaseline
from save_avs.models.save import SAVE
from save_avs.training.clip_dataset import EpochShuffle
from save_avs.training.optimizer import Optimizers
from save_avs.training.schedule import cosine_with_warmup
from studies.few_shot.frames import Frames

Network = SAVE | Baseline
TUNED = ("adapter", "audio_adapter", "mask_decoder")  # of SAVE, where it has them: what its recipes train
WEIGHT_DECAY, CLIP_NORM, WARMUP = 0.01, 1.0, 0.05  # the last in shares of the steps


def answer(network: Network, frames: Frames) -> Tensor:
    """Logits [B,1,M,M]."""
    with arithmetic(network):
        if isinstance(network, Baseline):
            return network.segment(frames.features).float()
        return network(frames.images, frames.log_mel).float()


def arithmetic(network: Network) -> AbstractContextManager[object]:
    """Automatic mixed precision, where the model is to compute in bfloat16."""
    return torch.autocast(network.device.type, torch.bfloat16, enabled=network.precision == "bf16")


def loss(network: Network, frames: Frames) -> Tensor:
    """SAVE's loss for all, and GAVS's alignment of sound and picture for GAVS."""
    every = torch.ones(len(frames), dtype=torch.bool, device=frames.masks.device)
    total = save_loss(answer(network, frames), frames.masks, every).total
    if isinstance(network, Gavs):
        total = total + network.misalignment(frames.features, frames.masks)
    return total


def learn(
    parameters: Mapping[str, nn.Parameter],
    loss_at: Callable[[int], Tensor],
    *,
    steps: int,
    lr: float,
    seed: int,
) -> None:
    """AdamW with warm-up and cosine over ``steps``; random numbers come from the seed alone."""
    optimizers = Optimizers(parameters, muon=False, lr=lr, weight_decay=WEIGHT_DECAY)
    with torch.random.fork_rng(), torch.enable_grad():
        torch.manual_seed(seed)
        for step in range(steps):
            loss_at(step).backward()
            nn.utils.clip_grad_norm_(parameters.values(), CLIP_NORM)
            optimizers.step(cosine_with_warmup(step, steps, max(1, round(WARMUP * steps))))
            optimizers.zero_grad()


def learn_frames(network: Network, frames: Frames, *, epochs: int, batch: int, lr: float, seed: int) -> None:
    """Go over frames some times, in random order, and leave the network in evaluation mode."""
    batch = min(batch, len(frames))
    order = EpochShuffle(len(frames), seed)

    def loss_at(step: int) -> Tensor:
        return loss(network, frames.take([order[step * batch + k][1] for k in range(batch)]))

    parameters = _start(network)
    learn(parameters, loss_at, steps=-(-epochs * len(frames) // batch), lr=lr, seed=seed)
    network.requires_grad_(False).eval()


def learn_episodes(
    network: PrototypeBaseline,
    seen: Frames,
    *,
    episodes: int,
    ways: int,
    shots: int,
    queries: int,
    lr: float,
    seed: int,
) -> None:
    """Learn to compare: episode i, drawn from (seed, i), has ``ways`` classes of up to ``shots`` examples.

    The loss is that of the masks, and the cross-entropy of which class is heard.

    Source: Vinyals et al. 2016, arXiv 1606.04080: train as you will be tested.
    """
    rows = [part for part in seen.by_class().values() if len(part) > 1]

    def loss_at(step: int) -> Tensor:
        rng = np.random.default_rng((seed, step))
        classes = rng.permutation(len(rows))[:ways]
        count = int(rng.integers(1, shots + 1))
        drawn = [_parted(rng.permutation(rows[c]).tolist(), count, queries) for c in classes]
        network.set_support(seen.take([row for examples, _ in drawn for row in examples]).support())
        asked = seen.take([row for _, questions in drawn for row in questions])
        heard = network.audio_log_probs(asked.features.audio, network.prototypes)
        return loss(network, asked) + F.nll_loss(heard, asked.support().classes)

    learn(_start(network), loss_at, steps=episodes, lr=lr, seed=seed)
    network.requires_grad_(False).eval()


def _parted(rows: list[int], examples: int, questions: int) -> tuple[list[int], list[int]]:
    """Examples, and questions after them; of few rows one at least is asked about."""
    count = min(examples, len(rows) - 1)
    return rows[:count], rows[count : count + questions]


def _start(network: Network) -> dict[str, nn.Parameter]:
    """Put a network into training mode; what of it is trained, by name."""
    names = [name.split(".") for name, _ in network.named_parameters()]
    wanted = network.trainable if isinstance(network, Baseline) else TUNED
    network.train()
    freeze_except(network, [part for part in wanted if any(part in name for name in names)])
    return {name: p for name, p in network.named_parameters() if p.requires_grad}
