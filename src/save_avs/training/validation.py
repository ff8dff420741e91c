"""Looking at a task's validation frames, shared by all processes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from save_avs.training.bad_sample_guard import Bad, Portion
from save_avs.training.callbacks.base import ValidationImage
from save_avs.training.callbacks.pictures import add_pictures
from save_avs.training.collate import to_device
from save_avs.training.distributed import DistributedContext


class Seen(NamedTuple):
    """Figures over all frames, the same in every process; items that could not be read; the first frames."""

    figures: dict[str, float]
    bad: list[Bad]
    pictures: list[ValidationImage]


@torch.no_grad()
def validate(
    learner: nn.Module,
    portions: Iterable[Portion],
    processes: DistributedContext,
    *,
    rounds: int,
    between: Callable[[], None],
) -> Seen:
    """Score this process's portions, and put everyone's rows together before a figure is computed.

    Args:
        learner: in evaluation mode.
        portions: this process's, in the order of the data.
        processes: that share the validation.
        rounds: the most portions that any process has; where weights are spread, all must compute as often.
        between: called after each portion.
    """
    rows: dict[str, list[Tensor]] = {}
    bad: list[Bad] = []
    pictures: list[ValidationImage] = []
    batch, done = None, 0
    for portion in portions:
        bad += portion.bad
        if portion.batch is not None:
            batch = to_device(portion.batch, processes.device)
            for name, values in _ask(learner, "score", batch, processes).items():
                rows.setdefault(name, []).append(values.cpu())
            done += 1
            if processes.sharding == "none":  # else all processes would have to ask as often
                add_pictures(pictures, partial(_ask, learner, "pictures", processes=processes), batch)
        between()
    if processes.sharding == "full" and batch is not None:
        for _ in range(rounds - done):
            _ask(learner, "score", batch, processes)
    mine = {name: torch.cat(values) for name, values in rows.items()}
    return Seen(figures_of(processes.gather([mine])), processes.gather(bad), pictures)


def _ask(learner: nn.Module, question: str, batch: object, processes: DistributedContext) -> Any:
    with processes.autocast():
        return learner(question, batch)


def figures_of(parts: list[dict[str, Tensor]]) -> dict[str, float]:
    """Figures over the rows of all processes."""
    names = dict.fromkeys(name for part in parts for name in part)
    return {name: figure(torch.cat([part[name] for part in parts if name in part])) for name in names}


def figure(rows: Tensor) -> float:
    """The mean of one validation figure over frames; a NaN does not count.

    Rows with a number for each class, [N,K], are averaged within each class first; a class that occurs in no
    frame counts as 0, as AVSS's public code has it.
    """
    if rows.ndim == 1:
        return float(rows.nanmean())
    return float(rows.nanmean(dim=0).nan_to_num(0.0).mean())
