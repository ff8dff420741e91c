"""The training loop of one stage: learn, validate, choose, checkpoint, stop, go on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from save_avs.errors import DataError, SaveAvsError
from save_avs.models.adapters.freeze import freeze_except
from save_avs.training.bad_sample_guard import STAND_INS, Portion
from save_avs.training.best_checkpoint import Best
from save_avs.training.callbacks.base import Callback
from save_avs.training.checkpoint import Checkpoints, frozen_sum, load_moving, moving_state
from save_avs.training.choices import Policy
from save_avs.training.dataloader import Feed
from save_avs.training.distributed import DistributedContext
from save_avs.training.failure_policy import Mishaps
from save_avs.training.logger import Journal
from save_avs.training.optimizer import cosine_with_warmup
from save_avs.training.signals import StopRequests, interrupted
from save_avs.training.stage import StageBase
from save_avs.training.step import Update
from save_avs.training.tasks import Normalizer, Task
from save_avs.training.throughput import Pace
from save_avs.training.validation import validate


@dataclass(frozen=True, kw_only=True)
class TrainerOptions:
    """How a run goes about it, whatever it learns.

    Attributes:
        workers: processes that read or draw samples, for each process that trains.
        checkpoint_interval_s: seconds between checkpoints.
        keep_checkpoints: checkpoints that are kept.
        non_finite: a loss or gradient that is no number ends the run, or its step is passed over.
        bad_samples: a sample that cannot be read ends the run, or another stands in for it.
    """

    workers: int = 0
    checkpoint_interval_s: float = 120.0
    keep_checkpoints: int = 2
    non_finite: Policy = "stop"
    bad_samples: Policy = "stop"


class _Told(Exception):  # noqa: N818  no error: it ends the loop, the weights are those of a finished step
    """Told to stop."""


class Trainer:
    """Trains a task in ``folder``; picks up the newest checkpoint it finds there.

    Args:
        task: the data and the loss.
        stage: the settings.
        folder: where checkpoints, best.pt and metrics.jsonl go.
        processes: that train it together; only the main one writes.
        habits: how the run goes about it.
        callbacks: see what happens.
    """

    def __init__(
        self,
        task: Task,
        stage: StageBase,
        folder: Path,
        *,
        processes: DistributedContext,
        habits: TrainerOptions,
        callbacks: Sequence[Callback] = (),
    ) -> None:
        self.task, self.stage, self.plan = task, stage, task.plan
        self.folder, self.processes, self.habits = folder, processes, habits
        task.modules.to(processes.device)
        self._train_mode()
        self.frozen = frozen_sum(task.modules)
        self.update = Update(task, stage, processes)
        self.feed = Feed(task, processes, workers=habits.workers, parts=stage.grad_accum_steps)
        self.journal = Journal(folder, stage.name, task.plan.steps, callbacks, main=processes.main)
        self.mishaps = Mishaps(
            non_finite=habits.non_finite,
            bad_samples=habits.bad_samples,
            processes=processes,
            journal=self.journal,
        )
        self.checkpoints = Checkpoints(folder, habits.keep_checkpoints, self.journal.say)
        self.best = Best(folder, task.monitor)
        self.pace = Pace(processes.device)
        self.stop = StopRequests()
        self.step, self.validated = 0, 0
        self.figures: dict[str, float] = {}

    def run(self) -> dict[str, float]:
        """Train to the last step; returns the figures of the weights that stay in the model.

        These are the averaged weights: of the last step, or of the best validation where the task chooses.

        Raises:
            InterruptedRunError: when told to stop, after a checkpoint.
            DataError: when a sample cannot be read, and the run is to stop at one.
            SaveAvsError: when a loss is not finite, and the run is to stop at one; when a checkpoint cannot
                be written or read; when another process is lost.
        """
        self._resume()
        try:
            with self.stop:
                self._learn()
                self._checkpoint()
        except _Told:
            self._checkpoint()
            number = max(self.processes.gather([int(self.stop.signal)]))
            raise interrupted(number, self.stage.name, self.step) from None
        except RuntimeError as error:
            if not self.processes.lost(error):
                raise
            raise self._left_alone() from error
        finally:
            self.journal.end()
        return self._finish()

    def _learn(self) -> None:
        for portions in self.pace.waiting_for(self.feed.steps(self.step)):
            self._validate_if_due()
            if self._stale():
                self.journal.say(f"no better since step {self.best.step}, which is enough")
                return
            self._step(portions)
        self._validate_if_due()

    def _step(self, portions: Sequence[Portion]) -> None:
        whole, bad, told = self._agree(portions)
        if bad:
            unread = self.processes.gather([one for portion in portions for one in portion.bad])
            self.mishaps.unreadable(self.step, unread)
            if any(portion.batch is None for portion in portions):
                raise DataError(f"{STAND_INS + 1} samples in a row cannot be read: {unread[-1].reason}")
        self._seed()
        factor = cosine_with_warmup(self.step, self.plan.steps, self.stage.warmup_steps, self.stage.floor)
        outcome = self.update.step(portions, whole, factor, self.step + 1)
        if outcome.finite:
            self.mishaps.finite()
        else:
            self.mishaps.not_finite(self.step + 1, self.update.learner, portions)
        self.step += 1
        self.pace.lap(whole.frames)
        lr = self.update.optimizers.rate
        self.journal.on_step_end(self.step, outcome.terms if outcome.finite else None, lr, self.pace)
        if told or self._stops_alone():
            raise _Told
        if self.processes.agreed(self.pace.since_checkpoint > self.habits.checkpoint_interval_s):
            self._checkpoint()

    def _agree(self, portions: Sequence[Portion]) -> tuple[Normalizer, bool, bool]:
        """What all processes must know of a step: its frames, whether a sample is bad, whether to stop."""
        counts = [Normalizer(0, 0) if p.batch is None else self.task.count(p.batch) for p in portions]
        frames, annotated = (sum(column) for column in zip(*counts, strict=True))
        bad = sum(len(portion.bad) for portion in portions)
        mine = torch.tensor([frames, annotated, bad, self.stop.signal])
        frames, annotated, bad, told = self.processes.total(mine).tolist()
        return Normalizer(frames, max(1.0, annotated)), bad > 0, told > 0

    def _seed(self) -> None:
        """Random numbers within a step come from (seed, step, process) alone: nothing of them is kept."""
        key = (self.stage.seed, self.step, self.processes.rank)
        torch.manual_seed(int(np.random.SeedSequence(key).generate_state(1)[0]))

    def _validate_if_due(self) -> None:
        """Validate where the step just made asks for it, and nobody did yet."""
        due = self.step > 0 and self.step % self.plan.validate_every == 0
        if (due or self.step == self.plan.steps) and self.validated != self.step:
            self.validate()
            self.pace.pause()

    def validate(self) -> dict[str, float]:
        """Figures over validation frames, of the averaged weights; the best yet are kept.

        Raises:
            DataError: when a frame cannot be read, and the run is to stop at one.
        """
        self.task.modules.eval()
        with self.update.average.applied():
            seen = validate(
                self.update.learner,
                self.feed.validation(),
                self.processes,
                rounds=self.feed.validation_rounds,
                between=self._stop_if_told,
            )
        self._train_mode()
        if seen.bad:
            self.mishaps.unreadable(self.step, seen.bad)
        self.figures, self.validated = seen.figures, self.step
        self.journal.on_images(self.step, seen.pictures)
        self.journal.write({"step": self.step, **{f"val_{n}": v for n, v in seen.figures.items()}})
        if self.best.beaten_by(seen.figures):
            with self.update.average.applied():
                write = self.best.taken(self.step, seen.figures, self.task.modules)
            self._on_main(write)
        return seen.figures

    def _stop_if_told(self) -> None:
        """Leave a validation."""
        if self._stops_alone():
            raise _Told

    def _stops_alone(self) -> bool:
        """Whether one process was told to stop; several agree with their next step."""
        return self.stop.signal > 0 and self.processes.count == 1

    def _stale(self) -> bool:
        """Whether validations have been without a better figure for as long as the stage has patience."""
        if self.plan.patience is None or not self.best.step or self.step != self.validated:
            return False
        return self.step - self.best.step >= self.plan.patience * self.plan.validate_every

    def _finish(self) -> dict[str, float]:
        """Leave the averaged weights in the model, the best where the task chooses; their figures."""
        self.update.average.swap()
        figures = self.figures
        if self.best.step:
            figures = self.best.restore(self.task.modules)
            self.journal.say(f"best at step {self.best.step}/{self.plan.steps}")
        self.task.modules.eval()
        return figures

    def _train_mode(self) -> None:
        self.task.modules.train()
        freeze_except(self.task.modules["model"], self.stage.trainable)

    def _checkpoint(self) -> None:
        state = {
            "step": self.step,
            "frozen": self.frozen,
            "modules": moving_state(self.task.modules),
            **self.update.state(),
            "best": self.best.state(),
            "validated": self.validated,
            "figures": self.figures,
            "journal": self.journal.state(),
            "skipped_in_a_row": self.mishaps.in_a_row,
        }
        self._on_main(lambda: self.checkpoints.save(state))
        self.pace.checkpointed()

    def _resume(self) -> None:
        if self.processes.main:
            self.folder.mkdir(parents=True, exist_ok=True)
        self.processes.wait()
        state = self.checkpoints.load(self.frozen)
        if state is not None:
            load_moving(self.task.modules, state["modules"])
            self.update.load(state)
            self.best.load(state["best"])
            self.step, self.validated, self.figures = state["step"], state["validated"], state["figures"]
            self.mishaps.in_a_row = state["skipped_in_a_row"]
            self.journal.say(f"going on from step {self.step}")
        self.journal.begin(self.step, state and state["journal"])

    def _on_main(self, action: Callable[[], None]) -> None:
        """Let the main process do something with files; should it fail, all of them stop.

        Raises:
            SaveAvsError: what went wrong.
        """
        problem = None
        if self.processes.main:
            try:
                action()
            except (SaveAvsError, OSError) as error:
                problem = str(error)
        if problem := self.processes.agreed(problem):
            raise SaveAvsError(problem)

    def _left_alone(self) -> SaveAvsError:
        kept = self.checkpoints.files()
        back = f"go on from {kept[0].name}" if kept else "begin this stage again"
        return SaveAvsError(
            f"{self.stage.name}, step {self.step}: another of the {self.processes.count} processes is gone; "
            f"run the same command again to {back}"
        )
