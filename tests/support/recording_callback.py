"""A watch that remembers, and trainers on the CPU."""

from __future__ import annotations

from pathlib import Path

from save_avs.training.distributed import DistributedContext
from save_avs.training.trainer import Trainer, TrainerOptions


class Recorder:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.lines, self.rows, self.moments, self.beginnings, self.pictures = [], [], [], [], []
        self.ends = 0

    def on_stage_begin(self, stage, step, steps):
        self.beginnings.append((stage, step, steps))

    def on_step_end(self, stats):
        self.moments.append(stats)

    def on_log(self, row):
        self.rows.append(row)

    def on_stage_end(self):
        self.ends += 1

    def on_images(self, step, pictures):
        self.pictures.append((step, pictures))

    def on_message(self, text):
        self.lines.append(text)


def make_trainer(task, stage, folder: Path, callback=None, processes=None, **habits) -> Trainer:
    return Trainer(
        task,
        stage,
        folder,
        processes=processes or DistributedContext(device="cpu"),
        habits=TrainerOptions(**{"checkpoint_interval_s": 1e9, **habits}),
        callbacks=[callback] if callback else [],
    )
