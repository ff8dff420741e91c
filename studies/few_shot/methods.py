"""The methods that are compared: what each does with the examples of a trial."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

import torch
from safetensors.torch import load_file, save_file

from save_avs._files import atomic_path
from save_avs.models.baselines import Baseline, Gavs, ProtoNet, PrototypeBaseline, RelationNet
from save_avs.models.save import SAVE
from studies.few_shot.frames import Frames
from studies.few_shot.learning import Network, learn_episodes, learn_frames
from studies.few_shot.settings import Settings

NAMES = {"save": "SAVE", "gavs": "GAVS's prompt", "protonet": "ProtoNet", "relationnet": "RelationNet"}


class Method(Protocol):
    """A way to make use of examples."""

    def after(self, examples: Frames | None, seed: int) -> Network:
        """A network that has seen the examples; none at zero shots. It is good until the next call."""
        ...


@dataclass(frozen=True)
class Recall:
    """Remembers the examples, without learning. Without any it has the seen classes to compare with."""

    network: PrototypeBaseline
    known: Frames

    def after(self, examples: Frames | None, seed: int) -> Network:
        """The network with the examples in mind."""
        self.network.set_support((self.known if examples is None else examples).support())
        return self.network


@dataclass(frozen=True)
class Tune:
    """Trains a copy on the examples, as V3 goes on with a model of the seen classes."""

    network: SAVE | Gavs
    epochs: int
    batch: int
    lr: float

    def after(self, examples: Frames | None, seed: int) -> Network:
        """The network itself without examples, else a copy that has learned from them."""
        if examples is None:
            return self.network
        copy = self.network.clone_head() if isinstance(self.network, Gavs) else deepcopy(self.network)
        learn_frames(copy, examples, epochs=self.epochs, batch=self.batch, lr=self.lr, seed=seed)
        return copy


def make_methods(save: SAVE, seen: Frames, settings: Settings, folder: Path) -> dict[str, Method]:
    """Train the baselines on frames of seen classes, or read them from the folder, where they are kept."""
    with torch.random.fork_rng():
        torch.manual_seed(settings.seed)
        protonet, relationnet, gavs = ProtoNet(save), RelationNet(save), Gavs(save)
    for head in (protonet, relationnet):
        _train_once(head, folder, partial(_compare, head, seen, settings))
    _train_once(gavs, folder, partial(_prompt, gavs, seen, settings))
    known = seen.first_of_each(settings.most_shots)
    tune = partial(Tune, epochs=settings.tune_epochs, batch=settings.tune_batch)
    return {
        "save": tune(save, lr=settings.tune_lr),
        "gavs": tune(gavs, lr=settings.head_lr),
        "protonet": Recall(protonet, known),
        "relationnet": Recall(relationnet, known),
    }


def _train_once(head: Baseline, folder: Path, train: Callable[[], None]) -> None:
    path = folder / f"{head.name}.safetensors"
    if path.exists():
        head.load_state_dict(load_file(path, device=str(head.device)))
    else:
        train()
        with atomic_path(path) as part:
            save_file({k: v.contiguous() for k, v in head.state_dict().items()}, part)
    head.requires_grad_(False).eval()


def _compare(head: PrototypeBaseline, seen: Frames, settings: Settings) -> None:
    learn_episodes(
        head,
        seen,
        episodes=settings.head_episodes,
        ways=settings.ways,
        shots=settings.most_shots,
        queries=settings.head_queries,
        lr=settings.head_lr,
        seed=settings.seed,
    )


def _prompt(head: Gavs, seen: Frames, settings: Settings) -> None:
    learn_frames(
        head,
        seen,
        epochs=settings.head_epochs,
        batch=settings.head_batch,
        lr=settings.head_lr,
        seed=settings.seed,
    )
