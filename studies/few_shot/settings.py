"""What a few-shot study is made of."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Sizes and budgets.

    Attributes:
        shots: numbers of examples a class, ascending; 0 for none.
        episodes: drawn from the scenes.
        ways: classes an episode has.
        queries: frames of each class that are asked about in an episode.
        pool: frames of each unseen class that episodes draw from.
        seen: frames of each seen class that the baselines learn from.
        seed: of everything that is drawn.
        head_episodes: episodes that ProtoNet and RelationNet learn from.
        head_queries: frames of each class asked about in these.
        head_epochs: how often GAVS's prompt and adapters see every seen frame.
        head_batch: frames a step of that.
        head_lr: learning rate of all baselines.
        tune_epochs: how often the examples are gone over; ten in GAVS's protocol.
        tune_batch: frames a step of that.
        tune_lr: SAVE's learning rate in that.
    """

    shots: tuple[int, ...] = (0, 1, 3, 5)
    episodes: int = 16
    ways: int = 5
    queries: int = 5
    pool: int = 20
    seen: int = 16
    seed: int = 0
    head_episodes: int = 300
    head_queries: int = 2
    head_epochs: int = 8
    head_batch: int = 16
    head_lr: float = 1e-3
    tune_epochs: int = 10
    tune_batch: int = 8
    tune_lr: float = 2e-4

    @property
    def most_shots(self) -> int:
        """The most examples a class has; as many of each seen class stand in at zero shots."""
        return max(1, *self.shots)

    def as_json(self) -> dict[str, Any]:
        """All of them as plain values."""
        return {**asdict(self), "shots": list(self.shots)}
