"""Validation of a task, shared by all processes."""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from save_avs.training.callbacks.callback import ValidationImage
from save_avs.training.callbacks.validation_images import add_images
from save_avs.training.collate import to_device
from save_avs.training.dataloader import BadSample, StageDataLoader
from save_avs.training.distributed import DistributedContext


class ValidationResult(NamedTuple):
    """Metrics over all frames, the same in every process; unreadable items; the first frames with masks."""

    metrics: dict[str, float]
    bad: list[BadSample]
    images: list[ValidationImage]


@torch.no_grad()
def validate(
    task_module: nn.Module,
    data: StageDataLoader,
    distributed: DistributedContext,
    after_batch: Callable[[], None],
) -> ValidationResult:
    """Compute the metrics of this process's batches, and average them over the frames of all processes.

    Where weights are sharded, all processes must compute as often: as any has batches, a process without a
    batch of its own with one that can be read.
    """
    rows: dict[str, list[Tensor]] = {}
    bad: list[BadSample] = []
    images: list[ValidationImage] = []
    batch, done = None, 0

    def call(method: str) -> Any:
        with distributed.autocast():
            return task_module(method, batch)

    for micro_batch in data.validation():
        bad += micro_batch.bad
        if micro_batch.batch is not None:
            batch = to_device(micro_batch.batch, distributed.device)
            for name, values in call("metrics").items():
                rows.setdefault(name, []).append(values.cpu())
            done += 1
            if not distributed.sharded:  # else all processes would have to call it as often
                add_images(images, lambda: call("images"))
        after_batch()
    missing = data.max_validation_batches - done if distributed.sharded else 0
    if missing > 0:
        batch = batch if done else to_device(data.any_validation_batch(), distributed.device)
        for _ in range(missing if batch is not None else 0):  # else no process has one
            call("metrics")
    parts = distributed.all_gather([{name: torch.cat(values) for name, values in rows.items()}])
    names = dict.fromkeys(name for part in parts for name in part)
    metrics = {n: mean_metric(torch.cat([part[n] for part in parts if n in part])) for n in names}
    return ValidationResult(metrics, distributed.all_gather(bad), images)


def mean_metric(rows: Tensor) -> float:
    """Return the mean of a metric over frames; NaN does not count.

    Rows with a number per class, [N,K], are averaged within each class first; a class that occurs in no
    frame counts as 0, as in AVSS's public code.
    """
    if rows.ndim == 1:
        return float(rows.nanmean())
    return float(rows.nanmean(dim=0).nan_to_num(0.0).mean())
