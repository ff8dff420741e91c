"""The training loop of one stage: train, validate, select the best weights, checkpoint, stop, resume."""

import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from save_avs.errors import DataError, SaveAvsError
from save_avs.models.freeze import freeze_except
from save_avs.training.callbacks.callback import Callback
from save_avs.training.checkpoint import (
    BestCheckpoint,
    CheckpointManager,
    frozen_checksum,
    load_trained_state,
    trained_tensors,
)
from save_avs.training.dataloader import MAX_REPLACEMENTS, MicroBatch, StageDataLoader
from save_avs.training.distributed import DistributedContext
from save_avs.training.failure_policy import FailurePolicy
from save_avs.training.logger import MetricLogger
from save_avs.training.recipe import TrainerOptions
from save_avs.training.signals import StopSignals, interrupted
from save_avs.training.stage_config import StageBase
from save_avs.training.stage_schedule import cosine_with_warmup
from save_avs.training.step import TrainStep
from save_avs.training.tasks import Normalizer, Task
from save_avs.training.throughput import ThroughputMeter
from save_avs.training.validation_loop import validate


class _StopSignal(Exception):  # noqa: N818  no error: it ends the loop, the weights are those of a finished step
    """A stop signal came."""


class Trainer:
    """Trains a task in ``folder``; resumes from the newest checkpoint there.

    Of the processes that train together, only the main one writes, and calls back.
    """

    def __init__(
        self,
        task: Task,
        stage: StageBase,
        folder: Path,
        *,
        distributed: DistributedContext,
        options: TrainerOptions,
        callbacks: Sequence[Callback] = (),
    ) -> None:
        self.task, self.stage, self.schedule = task, stage, task.schedule
        self.folder, self.distributed, self.options = folder, distributed, options
        task.modules.to(distributed.device)
        self._train_mode()
        self.frozen_checksum = frozen_checksum(task.modules)
        self.train_step = TrainStep(task, stage, distributed)
        self.data = StageDataLoader(
            task, distributed, workers=options.workers, micro_batches=stage.grad_accum_steps
        )
        self.logger = MetricLogger(
            folder, stage.name, task.schedule.steps, callbacks, is_main=distributed.is_main
        )
        self.failures = FailurePolicy(options, distributed, self.logger)
        self.checkpoints = CheckpointManager(
            folder, options.keep_checkpoints, self.logger.message, distributed
        )
        self.best = BestCheckpoint(folder, stage.monitor, distributed)
        self.meter = ThroughputMeter(distributed.device)
        self.signals = StopSignals()
        self.step, self.validated_step, self.saved_at = 0, 0, time.monotonic()
        self.metrics: dict[str, float] = {}

    def run(self) -> dict[str, float]:
        """Train to the last step; returns the validation metrics of the weights that the model ends with.

        These are the averaged weights: of the last step, or of the best validation if the task monitors one.

        Raises:
            InterruptedRunError: after a stop signal, when a checkpoint is written.
            DataError: when a sample cannot be read, and the policy is to stop.
            SaveAvsError: when a loss is not finite, and the policy is to stop; when a checkpoint cannot be
                written or read; when another process is lost.
        """
        self._resume()
        try:
            with self.signals:
                self._train()
                self._save_checkpoint(wait=True)
        except _StopSignal:
            self._save_checkpoint(wait=True)
            number = max(self.distributed.all_gather([int(self.signals.received)]))
            raise interrupted(number, self.stage.name, self.step) from None
        except RuntimeError as error:
            if not self.distributed.is_peer_failure(error):
                raise
            raise self._peer_lost() from error
        finally:
            self.logger.end_stage()
        return self._finish()

    def _train(self) -> None:
        for micro_batches in self.meter.iterate(self.data.steps(self.step)):
            self._validate_if_due()
            if self._out_of_patience():
                self.logger.message(f"early stop: no improvement since step {self.best.step}")
                return
            self._step(micro_batches)
        self._validate_if_due()

    def _step(self, micro_batches: Sequence[MicroBatch]) -> None:
        total, any_bad, stop = self._synchronize(micro_batches)
        if any_bad:
            bad = self.distributed.all_gather([one for part in micro_batches for one in part.bad])
            self.failures.on_bad_samples(self.step, bad)
            if any(part.batch is None for part in micro_batches):
                raise DataError(f"{MAX_REPLACEMENTS + 1} samples in a row cannot be read: {bad[-1].reason}")
        key = (self.stage.seed, self.step, self.distributed.rank)  # so no random state needs to be saved
        torch.manual_seed(int(np.random.SeedSequence(key).generate_state(1)[0]))
        lr_factor = cosine_with_warmup(
            self.step, self.schedule.steps, self.stage.warmup_steps, self.stage.min_lr_ratio
        )
        result = self.train_step.run(micro_batches, total, lr_factor, self.step + 1)
        if result.finite:
            self.failures.consecutive_skips = 0
        else:
            self.failures.on_nonfinite(self.step + 1, self.train_step.task_module, micro_batches)
        self.step += 1
        self.meter.step(total.frames)
        loss = result.terms["loss"] if result.finite else math.nan
        stats = self.meter.stats(self.step, self.schedule.steps, loss=loss, lr=self.train_step.optimizers.lr)
        self.logger.log_step(stats, result.terms if result.finite else None)
        if stop or self._stops_alone():
            raise _StopSignal
        due = time.monotonic() - self.saved_at > self.options.checkpoint_interval_s
        if self.distributed.broadcast(due):
            self._save_checkpoint()

    def _synchronize(self, micro_batches: Sequence[MicroBatch]) -> tuple[Normalizer, bool, bool]:
        """Return, over all processes, the step's frames, whether a sample is bad, and whether to stop."""
        counts = [
            Normalizer(0, 0) if m.batch is None else self.task.normalizer(m.batch) for m in micro_batches
        ]
        frames, annotated = (sum(column) for column in zip(*counts, strict=True))
        bad = sum(len(part.bad) for part in micro_batches)
        own = torch.tensor([frames, annotated, bad, self.signals.received])
        frames, annotated, bad, stop = self.distributed.all_reduce(own).tolist()
        return Normalizer(frames, max(1.0, annotated)), bad > 0, stop > 0

    def _validate_if_due(self) -> None:
        due = self.step > 0 and self.step % self.schedule.validate_every == 0
        if (due or self.step == self.schedule.steps) and self.validated_step != self.step:
            self.validate()
            self.meter.restart()

    def validate(self) -> dict[str, float]:
        """Return the validation metrics of the averaged weights, and save these if they are the best."""
        self.task.modules.eval()
        with self.train_step.ema.applied():
            result = validate(
                self.train_step.task_module, self.data, self.distributed, self._stop_if_signaled
            )
        self._train_mode()
        if result.bad:
            self.failures.on_bad_samples(self.step, result.bad)
        self.metrics, self.validated_step = result.metrics, self.step
        self.logger.log_images(self.step, result.images)
        self.logger.log({"step": self.step, **{f"val_{n}": v for n, v in result.metrics.items()}})
        if self.best.improves(result.metrics):
            self.checkpoints.wait()  # two saves at once would mix up the messages of the processes
            with self.train_step.ema.applied():
                self.best.save(self.step, result.metrics, self.task.modules)
        return result.metrics

    def _stop_if_signaled(self) -> None:
        if self._stops_alone():
            raise _StopSignal

    def _stops_alone(self) -> bool:
        """Whether a single process received a signal; several agree on it in their next step."""
        return self.signals.received > 0 and self.distributed.world_size == 1

    def _out_of_patience(self) -> bool:
        patience = self.schedule.patience
        if patience is None or not self.best.step or self.step != self.validated_step:
            return False
        return self.step - self.best.step >= patience * self.schedule.validate_every

    def _finish(self) -> dict[str, float]:
        """Leave the averaged weights in the model, the best if monitored; returns their metrics."""
        self.train_step.ema.swap()
        metrics = self.metrics
        if self.best.step:
            metrics = self.best.restore(self.task.modules)
            self.logger.message(f"best at step {self.best.step}/{self.schedule.steps}")
        self.task.modules.eval()
        return metrics

    def _train_mode(self) -> None:
        self.task.modules.train()
        freeze_except(self.task.modules["model"], self.stage.trainable)

    def _save_checkpoint(self, *, wait: bool = False) -> None:
        state = {
            "step": self.step,
            "frozen_checksum": self.frozen_checksum,
            "modules": trained_tensors(self.task.modules),
            **self.train_step.state_dict(),
            "best": (self.best.value, self.best.step),
            "validated_step": self.validated_step,
            "metrics": self.metrics,
            "logger": self.logger.state_dict(),
            "consecutive_skips": self.failures.consecutive_skips,
        }
        self.checkpoints.save(state)
        if wait:
            self.checkpoints.wait()
        self.saved_at = time.monotonic()
        self.meter.restart()

    def _resume(self) -> None:
        if self.distributed.is_main:
            self.folder.mkdir(parents=True, exist_ok=True)
            self.checkpoints.delete_incomplete()
        self.distributed.barrier()
        state = self.checkpoints.load(self.frozen_checksum, self._own_tensors)
        if state is not None:
            load_trained_state(self.task.modules, state["modules"])
            self.train_step.load_state_dict(state)
            self.best.value, self.best.step = state["best"]
            self.step, self.validated_step = state["step"], state["validated_step"]
            self.metrics, self.failures.consecutive_skips = state["metrics"], state["consecutive_skips"]
            self.logger.message(f"resuming from step {self.step}")
        self.logger.begin_stage(self.step, state and state["logger"])

    def _own_tensors(self) -> dict[str, Any]:
        """Return what a sharded checkpoint is read into."""
        step = self.train_step
        modules = trained_tensors(self.task.modules)
        return {"modules": modules, "ema": step.ema.shadow, "optimizers": step.optimizers.parameters()}

    def _peer_lost(self) -> SaveAvsError:
        checkpoints = self.checkpoints.files()
        how = f"resume from {checkpoints[0].name}" if checkpoints else "restart this stage"
        return SaveAvsError(
            f"{self.stage.name}, step {self.step}: another of the {self.distributed.world_size} processes is "
            f"gone; run the same command again to {how}"
        )
