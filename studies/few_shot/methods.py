"""Few-shot methods, and how each adapts to the examples of a trial."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

import torch
from safetensors.torch import load_file, save_file

from save_avs._files import atomic_path
from save_avs.models.save import SAVE
from studies.few_shot.baselines import Baseline, Gavs, ProtoNet, PrototypeBaseline, RelationNet
from studies.few_shot.config import FewShotConfig
from studies.few_shot.frames import FrameSet
from studies.few_shot.training import Network, train_on_clips, train_on_episodes, train_on_frames

TITLES = {"save": "SAVE", "gavs": "GAVS's prompt", "protonet": "ProtoNet", "relationnet": "RelationNet"}


class Method(Protocol):
    """A few-shot method."""

    def adapt(self, examples: FrameSet | None, seed: int) -> Network:
        """Return a network adapted to the examples, None at zero shots. It is valid until the next call."""
        ...


@dataclass(frozen=True)
class PrototypeMethod:
    """Compares with prototypes of the examples, at zero shots of seen classes, without training."""

    network: PrototypeBaseline
    seen: FrameSet

    def adapt(self, examples: FrameSet | None, seed: int) -> Network:
        """Set the support set."""
        self.network.set_support((self.seen if examples is None else examples).support())
        return self.network


@dataclass(frozen=True)
class FinetuningMethod:
    """Fine-tunes a copy on the examples."""

    network: SAVE | Gavs
    epochs: int
    batch_size: int
    lr: float

    def adapt(self, examples: FrameSet | None, seed: int) -> Network:
        """Return the network itself without examples, else a fine-tuned copy."""
        if examples is None:
            return self.network
        copy = self.network.clone_head() if isinstance(self.network, Gavs) else deepcopy(self.network)
        train_on_frames(copy, examples, epochs=self.epochs, batch_size=self.batch_size, lr=self.lr, seed=seed)
        return copy


@dataclass(frozen=True)
class GavsMethod:
    """Fine-tunes a copy on the clips of the examples by GAVS's own recipe."""

    network: Gavs
    epochs: int
    lr: float

    def adapt(self, examples: FrameSet | None, seed: int) -> Network:
        """Return the network itself without examples, else a fine-tuned copy."""
        if examples is None:
            return self.network
        copy = self.network.clone_head()
        train_on_clips(copy, examples.by_clip(), epochs=self.epochs, lr=self.lr, seed=seed)
        return copy


def make_methods(
    save: SAVE,
    seen: FrameSet,
    config: FewShotConfig,
    folder: Path,
    seen_clips: Sequence[FrameSet] | None = None,
) -> dict[str, Method]:
    """Train the baselines on frames of seen classes, or load them from the folder if they are there.

    GAVS trains on ``seen_clips`` by its own recipe where they are given.
    """
    with torch.random.fork_rng():
        torch.manual_seed(config.seed)
        protonet, relationnet, gavs = ProtoNet(save), RelationNet(save), Gavs(save)
    for baseline in (protonet, relationnet):
        train = partial(
            train_on_episodes,
            baseline,
            seen,
            episodes=config.baseline_episodes,
            ways=config.ways,
            shots=config.max_shots,
            queries=config.baseline_queries,
            lr=config.baseline_lr,
            seed=config.seed,
        )
        _train_or_load(baseline, folder, train)
    budget = {"lr": config.baseline_lr, "seed": config.seed}
    if seen_clips is None:
        batch_size = config.baseline_batch_size
        train = partial(
            train_on_frames, gavs, seen, epochs=config.baseline_epochs, batch_size=batch_size, **budget
        )
    else:
        train = partial(train_on_clips, gavs, seen_clips, epochs=config.gavs_epochs, **budget)
    _train_or_load(gavs, folder, train)
    few = seen.first_of_each(config.max_shots)
    finetune = partial(FinetuningMethod, epochs=config.finetune_epochs, batch_size=config.finetune_batch_size)
    return {
        "save": finetune(save, lr=config.finetune_lr),
        "gavs": finetune(gavs, lr=config.baseline_lr)
        if seen_clips is None
        else GavsMethod(gavs, config.finetune_epochs, config.baseline_lr),
        "protonet": PrototypeMethod(protonet, few),
        "relationnet": PrototypeMethod(relationnet, few),
    }


def _train_or_load(baseline: Baseline, folder: Path, train: Callable[[], None]) -> None:
    path = folder / f"{baseline.name}.safetensors"
    if path.exists():
        baseline.load_state_dict(load_file(path, device=str(baseline.device)))
    else:
        train()
        with atomic_path(path) as part:
            save_file({k: v.contiguous() for k, v in baseline.state_dict().items()}, part)
    baseline.requires_grad_(False).eval()
