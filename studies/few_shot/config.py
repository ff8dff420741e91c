"""Configuration of a few-shot study: sizes and training budgets."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class FewShotConfig:
    """Sizes and training budgets.

    Attributes:
        shots: numbers of examples per class, ascending; 0 for none.
        episodes: number of episodes, on composed scenes.
        ways: classes per episode.
        queries: query frames of each class in an episode.
        pool: frames of each unseen class that episodes draw from.
        seen: frames of each seen class that the baselines train on.
        seed: of all random draws.
        baseline_episodes: training episodes of ProtoNet and RelationNet.
        baseline_queries: frames of each class in these.
        baseline_epochs: training epochs of GAVS's prompt and adapters over the seen frames.
        baseline_batch_size: frames per step of that.
        baseline_lr: learning rate of all baselines; GAVS's own.
        gavs_epochs: of GAVS over all seen clips of V3, one clip per step: its own recipe.
        finetune_epochs: epochs over the examples; ten in GAVS's protocol.
        finetune_batch_size: frames per step of that.
        finetune_lr: SAVE's learning rate in that.
    """

    shots: tuple[int, ...] = (0, 1, 3, 5)
    episodes: int = 16
    ways: int = 5
    queries: int = 5
    pool: int = 20
    seen: int = 16
    seed: int = 0
    baseline_episodes: int = 300
    baseline_queries: int = 2
    baseline_epochs: int = 8
    baseline_batch_size: int = 16
    baseline_lr: float = 1e-3
    gavs_epochs: int = 60
    finetune_epochs: int = 10
    finetune_batch_size: int = 8
    finetune_lr: float = 2e-4

    @property
    def max_shots(self) -> int:
        """The most examples of a class; at zero shots, as many of each seen class replace them."""
        return max(1, *self.shots)

    def as_json(self) -> dict[str, Any]:
        """All fields as plain values."""
        return {**asdict(self), "shots": list(self.shots)}
