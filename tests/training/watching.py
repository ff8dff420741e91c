"""A watch that remembers, and trainers on the CPU."""

from __future__ import annotations

from pathlib import Path

from save_avs.training.loop import Habits, Trainer
from save_avs.training.processes import Processes


class Recorder:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.lines, self.rows, self.moments, self.beginnings, self.pictures = [], [], [], [], []
        self.ends = 0

    def began(self, stage, step, steps):
        self.beginnings.append((stage, step, steps))

    def stepped(self, moment):
        self.moments.append(moment)

    def logged(self, row):
        self.rows.append(row)

    def ended(self):
        self.ends += 1

    def pictured(self, step, pictures):
        self.pictures.append((step, pictures))

    def said(self, text):
        self.lines.append(text)


def make_trainer(task, stage, folder: Path, watch=None, processes=None, **habits) -> Trainer:
    return Trainer(
        task,
        stage,
        folder,
        processes=processes or Processes(device="cpu"),
        habits=Habits(**{"checkpoint_s": 1e9, **habits}),
        watches=[watch] if watch else [],
    )
