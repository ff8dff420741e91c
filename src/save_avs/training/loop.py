"""The training loop of one stage: optimise, average, validate, choose, checkpoint, resume."""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from save_avs.adapters.freeze import freeze_except
from save_avs.training.average import MovingAverage
from save_avs.training.checkpoint import (
    frozen_sum,
    load_moving,
    moving_state,
    read_checkpoint,
    write_checkpoint,
)
from save_avs.training.collate import frames_in, on_device
from save_avs.training.optimizer import Optimizers, schedule
from save_avs.training.stage import StageBase
from save_avs.training.tasks import Task

REPORT_EVERY = 50
CHECKPOINT, BEST = "checkpoint.pt", "best.pt"
Report = Callable[[str], None]


class Trainer:
    """Trains a task in ``folder``; picks up the checkpoint it finds there.

    Args:
        task: the data and the loss.
        stage: the settings.
        folder: where checkpoint.pt, best.pt and metrics.jsonl go.
        bf16: automatic mixed precision.
        workers: processes that read or draw samples.
        checkpoint_s: seconds between checkpoints.
        report: receives a line now and then.
        device: where the model is trained; batches follow it.
    """

    def __init__(
        self,
        task: Task,
        stage: StageBase,
        folder: Path,
        *,
        bf16: bool,
        workers: int,
        checkpoint_s: float,
        report: Report,
        device: torch.device | None = None,
    ) -> None:
        self.task, self.stage, self.folder, self.report = task, stage, folder, report
        self.plan = task.plan
        self.bf16, self.workers, self.checkpoint_s = bf16, workers, checkpoint_s
        self.device = device or torch.device("cpu")
        task.modules.to(self.device)
        self._train_mode()
        trained = {n: p for n, p in task.modules.named_parameters() if p.requires_grad}
        self.average = MovingAverage(trained, stage.ema)
        self.optimizers = Optimizers(
            trained,
            muon=stage.optimizer == "muon",
            lr=stage.lr,
            weight_decay=stage.weight_decay,
            betas=stage.betas,
        )
        self.step = 0
        self.frozen = frozen_sum(task.modules)
        self.best, self.best_step = -math.inf, 0
        self._validation: list[Any] = []

    def run(self) -> dict[str, float]:
        """Train to the last step; returns the figures of the weights that stay in the model.

        These are the averaged weights: of the last step, or of the best validation where the task chooses.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        self._resume()
        saved = began = time.monotonic()
        frames, losses = 0, []
        for batch in self._batches():
            frames += frames_in(batch)
            losses.append(self._update(batch))
            last = self.step == self.plan.steps
            if self.step % REPORT_EVERY == 0 or last:
                self._log(losses, frames / (time.monotonic() - began))
                losses = []
            if self.step % self.plan.validate_every == 0 and not last:
                self.validate()
            if time.monotonic() - saved > self.checkpoint_s:
                self._checkpoint()
                saved = time.monotonic()
        self._checkpoint()
        figures = self.validate()
        self.average.swap()
        if self.best_step:
            figures = self._take_best()
        self.task.modules.eval()
        return figures

    def _update(self, batch: Any) -> dict[str, float]:
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16):
            terms = self.task.loss(on_device(batch, self.device))
        terms["loss"].backward()
        torch.nn.utils.clip_grad_norm_(self.average.parameters.values(), self.stage.clip)
        self.optimizers.step(schedule(self.step, self.plan.steps, self.stage.warmup, self.stage.floor))
        self.step += 1
        self.average.update(self.step)
        return {name: float(value.detach()) for name, value in terms.items()}

    def validate(self) -> dict[str, float]:
        """Figures over validation frames, of the averaged weights; the best yet are kept."""
        self.task.modules.eval()
        rows: dict[str, list[Tensor]] = {}
        with (
            self.average.applied(),
            torch.inference_mode(),
            torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16),
        ):
            for batch in self._validation_batches():
                for name, values in self.task.score(on_device(batch, self.device)).items():
                    rows.setdefault(name, []).append(values.cpu())
        self._train_mode()
        figures = {name: figure(torch.cat(values)) for name, values in rows.items()}
        self._write({"step": self.step, **{f"val_{n}": v for n, v in figures.items()}})
        self._keep_if_best(figures)
        return figures

    def _keep_if_best(self, figures: dict[str, float]) -> None:
        """Write the averaged weights aside where they score higher than any before."""
        if self.task.chosen_by is None or not figures[self.task.chosen_by] > self.best:
            return
        self.best, self.best_step = figures[self.task.chosen_by], self.step
        with self.average.applied():
            state = {"step": self.step, "figures": figures, "modules": moving_state(self.task.modules)}
            write_checkpoint(self.folder / BEST, state)

    def _take_best(self) -> dict[str, float]:
        """Put the best weights into the model; returns their figures."""
        state = torch.load(self.folder / BEST, map_location="cpu", weights_only=True)
        load_moving(self.task.modules, state["modules"])
        self.report(f"{self.stage.name}: best at step {state['step']}/{self.plan.steps}")
        return state["figures"]

    def _train_mode(self) -> None:
        self.task.modules.train()
        freeze_except(self.task.modules["model"], self.stage.train)

    def _batches(self) -> Iterator[Any]:
        items = self.plan.items
        return iter(self._loader(self.task.stream, range(self.step * items, self.plan.steps * items)))

    def _validation_batches(self) -> Iterable[Any]:
        every = range(self.plan.validate_on)
        if not self.plan.keep_validation:
            return self._loader(self.task.validation, every)
        if not self._validation:
            self._validation = list(self._loader(self.task.validation, every, workers=0))
        return self._validation

    def _loader(self, source: Any, items: range, workers: int | None = None) -> DataLoader:
        workers = self.workers if workers is None else workers
        return DataLoader(
            source,
            batch_size=self.plan.items,
            sampler=items,
            num_workers=workers,
            collate_fn=self.task.collate,
            prefetch_factor=6 if workers else None,
            worker_init_fn=one_thread,
        )

    def _log(self, losses: list[dict[str, float]], rate: float) -> None:
        means = {name: sum(row[name] for row in losses) / len(losses) for name in losses[0]}
        lr = self.optimizers.all[0].param_groups[0]["lr"]
        self._write({"step": self.step, **means, "lr": lr, "frames_per_s": rate})

    def _write(self, row: dict[str, float]) -> None:
        with (self.folder / "metrics.jsonl").open("a") as file:
            file.write(json.dumps({k: _short(v) for k, v in row.items()}) + "\n")
        shown = "  ".join(f"{k} {v:.4g}" for k, v in row.items() if k != "step")
        self.report(f"{self.stage.name} {self.step}/{self.plan.steps}  {shown}")

    def _checkpoint(self) -> None:
        state = {
            "step": self.step,
            "frozen": self.frozen,
            "modules": moving_state(self.task.modules),
            "average": self.average.state(),
            "optimizers": self.optimizers.state(),
            "best": (self.best, self.best_step),
        }
        write_checkpoint(self.folder / CHECKPOINT, state)

    def _resume(self) -> None:
        path = self.folder / CHECKPOINT
        if not path.exists():
            return
        state = read_checkpoint(path, self.frozen)
        load_moving(self.task.modules, state["modules"])
        self.average.load(state["average"])
        self.optimizers.load(state["optimizers"])
        self.best, self.best_step = state["best"]
        self.step = state["step"]
        self.report(f"{self.stage.name}: going on from step {self.step}")


def figure(rows: Tensor) -> float:
    """The mean of one validation figure over frames; a NaN does not count.

    Rows with a number for each class, [N,K], are averaged within each class first; a class that occurs in no
    frame counts as 0, as AVSS's public code has it.
    """
    if rows.ndim == 1:
        return float(rows.nanmean())
    return float(rows.nanmean(dim=0).nan_to_num(0.0).mean())


def _short(value: float) -> float:
    """Six decimals, or six digits of a number that has fewer: a learning rate may be tiny."""
    return round(value, 6) if abs(value) >= 0.01 else float(f"{value:.6g}")


def one_thread(_: int) -> None:
    """A worker draws pictures, and steps aside where the trainer wants the core."""
    torch.set_num_threads(1)
    if hasattr(os, "nice"):
        os.nice(10)
