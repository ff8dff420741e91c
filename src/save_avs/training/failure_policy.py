"""Failure policy: unreadable samples and non-finite losses stop a run, or are skipped and reported."""

from collections.abc import Sequence

import torch

from save_avs.errors import DataError, SaveAvsError
from save_avs.training.collate import to_device
from save_avs.training.dataloader import BadSample, MicroBatch
from save_avs.training.distributed import DistributedContext
from save_avs.training.logger import MetricLogger
from save_avs.training.recipe import TrainerOptions
from save_avs.training.step import TaskModule

MAX_CONSECUTIVE_SKIPS = 20  # steps without a finite gradient
MAX_NAMES = 8  # of clips in a message


class FailurePolicy:
    """Handles failures the same way in all processes, by the options of the run."""

    def __init__(
        self, options: TrainerOptions, distributed: DistributedContext, logger: MetricLogger
    ) -> None:
        self.options, self.distributed, self.logger = options, distributed, logger
        self.consecutive_skips = 0

    def on_bad_samples(self, step: int, bad: list[BadSample]) -> None:
        """Report samples of any process that could not be read; a DataError when the policy is to stop."""
        if self.options.bad_samples == "stop":
            raise DataError(f"{bad[0].reason}; set bad_samples=skip to skip and list such samples")
        for one in bad:
            self.logger.message(f"skipped: {one.reason}")
            if self.logger.is_main:
                self.logger.bad_samples.append({"step": step, **one._asdict()})

    def on_nonfinite(self, step: int, task_module: TaskModule, micro_batches: Sequence[MicroBatch]) -> None:
        """Handle a step whose loss or gradient is not finite, and which did not update the weights.

        A SaveAvsError if the policy is to stop, or there were too many such steps in a row.
        """
        culprits = self._find_culprits(task_module, micro_batches)
        text = f"step {step}: the loss or its gradient is not finite: {culprits}"
        if self.options.non_finite == "stop":
            raise SaveAvsError(
                f"{self.logger.stage}, {text}; lower lr, or set non_finite=skip to skip such steps"
            )
        self.consecutive_skips += 1
        if self.consecutive_skips == MAX_CONSECUTIVE_SKIPS:
            raise SaveAvsError(
                f"{self.logger.stage}, {text}; {MAX_CONSECUTIVE_SKIPS} such steps in a row: lower lr, and "
                "resume from an earlier checkpoint"
            )
        self.logger.message(f"{text}; skipped")

    def _find_culprits(self, task_module: TaskModule, micro_batches: Sequence[MicroBatch]) -> str:
        """Name the items of the step, in all processes, that have a non-finite loss on their own.

        Each is read again and computed alone. Where weights are sharded all items of the step are named: no
        process can compute on its own.
        """
        sharded = self.distributed.sharded
        items = [i for micro_batch in micro_batches for i in micro_batch.items]
        names = [name for i in items if (name := self._name(task_module, i, sharded)) is not None]
        culprits = self.distributed.all_gather(names)
        if not culprits:
            return "not of a single clip, but of all together"
        more = f" and {len(culprits) - MAX_NAMES} more" if len(culprits) > MAX_NAMES else ""
        return f"{'among ' if sharded else ''}{', '.join(culprits[:MAX_NAMES])}{more}"

    @torch.no_grad()
    def _name(self, task_module: TaskModule, i: int, always: bool) -> str | None:
        """Return the name of an item whose loss is not finite; None where it is."""
        task = task_module.task
        try:
            sample = task.stream[i]
        except DataError:
            return None
        batch = to_device(task.collate([sample]), self.distributed.device)
        clips = getattr(batch, "clips", None)
        name = f"item {i}" if clips is None else clips.names[0]
        if always:
            return name
        with self.distributed.autocast():
            loss = task_module("loss", batch, task.normalizer(batch))["loss"]
        return None if bool(loss.isfinite()) else name
