"""The training loop of one stage: optimise, average, validate, checkpoint, resume."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from save_avs.adapters.freeze import freeze_except
from save_avs.media.atomic import aside
from save_avs.training.average import MovingAverage
from save_avs.training.collate import on_device
from save_avs.training.optimizer import Optimizers, schedule
from save_avs.training.recipe import Stage
from save_avs.training.tasks import Task

REPORT_EVERY = 50
Report = Callable[[str], None]


class Trainer:
    """Trains a task in ``folder``; picks up the checkpoint it finds there.

    Args:
        task: the data and the loss.
        stage: the settings.
        folder: where checkpoint.pt and metrics.jsonl go.
        bf16: automatic mixed precision.
        workers: processes that draw samples.
        checkpoint_s: seconds between checkpoints.
        report: receives a line now and then.
        device: where the model is trained; batches follow it.
    """

    def __init__(
        self,
        task: Task,
        stage: Stage,
        folder: Path,
        *,
        bf16: bool,
        workers: int,
        checkpoint_s: float,
        report: Report,
        device: torch.device | None = None,
    ) -> None:
        self.task, self.stage, self.folder, self.report = task, stage, folder, report
        self.bf16, self.workers, self.checkpoint_s = bf16, workers, checkpoint_s
        self.device = device or torch.device("cpu")
        task.modules.to(self.device)
        self._train_mode()
        trained = {n: p for n, p in task.modules.named_parameters() if p.requires_grad}
        self.average = MovingAverage(trained, stage.ema)
        self.optimizers = Optimizers(
            trained, muon=stage.optimizer == "muon", lr=stage.lr, weight_decay=stage.weight_decay
        )
        self.step = 0
        self._validation: list[Any] = []

    def run(self) -> dict[str, float]:
        """Train to the last step; returns the last validation's figures. The averaged weights stay."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._resume()
        saved = began = time.monotonic()
        first, losses = self.step, []
        for batch in self._batches():
            losses.append(self._update(batch))
            if self.step % REPORT_EVERY == 0 or self.step == self.stage.steps:
                rate = (self.step - first) * self.stage.batch / (time.monotonic() - began)
                self._log(losses, rate)
                losses = []
            if self.step % self.stage.validate_every == 0 and self.step < self.stage.steps:
                self.validate()
            if time.monotonic() - saved > self.checkpoint_s:
                self._checkpoint()
                saved = time.monotonic()
        self._checkpoint()
        figures = self.validate()
        self.average.swap()
        self.task.modules.eval()
        return figures

    def _update(self, batch: Any) -> dict[str, float]:
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16):
            terms = self.task.loss(on_device(batch, self.device))
        terms["loss"].backward()
        torch.nn.utils.clip_grad_norm_(self.average.parameters.values(), self.stage.clip)
        self.optimizers.step(schedule(self.step, self.stage.steps, self.stage.warmup))
        self.step += 1
        self.average.update(self.step)
        return {name: float(value.detach()) for name, value in terms.items()}

    def validate(self) -> dict[str, float]:
        """Means over validation frames, of the averaged weights."""
        if not self._validation:
            size = max(1, self.stage.batch // self.task.frames_per_item)
            items = [self.task.validation[i] for i in range(self.stage.validate_on)]
            self._validation = [self.task.collate(items[i : i + size]) for i in range(0, len(items), size)]
        self.task.modules.eval()
        rows: dict[str, list[Tensor]] = {}
        with (
            self.average.applied(),
            torch.inference_mode(),
            torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16),
        ):
            for batch in self._validation:
                for name, values in self.task.score(on_device(batch, self.device)).items():
                    rows.setdefault(name, []).append(values.cpu())
        self._train_mode()
        figures = {name: float(torch.cat(values).nanmean()) for name, values in rows.items()}
        self._write({"step": self.step, **{f"val_{n}": v for n, v in figures.items()}})
        return figures

    def _train_mode(self) -> None:
        self.task.modules.train()
        freeze_except(self.task.modules["model"], self.stage.train)

    def _batches(self) -> Iterator[Any]:
        per_batch = self.stage.batch // self.task.frames_per_item
        loader = DataLoader(
            self.task.stream,
            batch_size=per_batch,
            sampler=range(self.step * per_batch, self.stage.steps * per_batch),
            num_workers=self.workers,
            collate_fn=self.task.collate,
            prefetch_factor=6 if self.workers else None,
            worker_init_fn=one_thread,
        )
        return iter(loader)

    def _log(self, losses: list[dict[str, float]], rate: float) -> None:
        means = {name: sum(row[name] for row in losses) / len(losses) for name in losses[0]}
        lr = self.optimizers.all[0].param_groups[0]["lr"]
        self._write({"step": self.step, **means, "lr": lr, "frames_per_s": rate})

    def _write(self, row: dict[str, float]) -> None:
        with (self.folder / "metrics.jsonl").open("a") as file:
            file.write(json.dumps({k: round(v, 6) for k, v in row.items()}) + "\n")
        shown = "  ".join(f"{k} {v:.4g}" for k, v in row.items() if k != "step")
        self.report(f"{self.stage.name} {self.step}/{self.stage.steps}  {shown}")

    def _checkpoint(self) -> None:
        state = {
            "step": self.step,
            "modules": self.task.modules.state_dict(),
            "average": self.average.state(),
            "optimizers": self.optimizers.state(),
        }
        with aside(self.folder / "checkpoint.pt") as part:
            torch.save(state, part)

    def _resume(self) -> None:
        path = self.folder / "checkpoint.pt"
        if not path.exists():
            return
        state = torch.load(path, map_location="cpu", weights_only=True)
        self.task.modules.load_state_dict(state["modules"])
        self.average.load(state["average"])
        self.optimizers.load(state["optimizers"])
        self.step = state["step"]
        self.report(f"{self.stage.name}: going on from step {self.step}")


def one_thread(_: int) -> None:
    """A worker draws pictures, and steps aside where the trainer wants the core."""
    torch.set_num_threads(1)
    if hasattr(os, "nice"):
        os.nice(10)
