"""What a stage's folder keeps for the report beside metrics.jsonl: time spent, and the last pictures."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from save_avs._files import atomic_write
from save_avs.training.callbacks.base import Callback, StepStats, ValidationImage
from save_avs.training.callbacks.sheet import draw_pictures

PROGRESS, PICTURES = "progress.json", "pictures.png"


class Progress(NamedTuple):
    """How far a stage is: steps done and in all, and seconds spent on it in all sessions."""

    step: int = 0
    steps: int = 0
    seconds: float = 0.0


def read_progress(folder: Path) -> Progress:
    """What was written of a stage; nothing done where nothing was."""
    try:
        return Progress(**json.loads((folder / PROGRESS).read_text()))
    except (OSError, ValueError, TypeError):
        return Progress()


class StageRecorder(Callback):
    """Keeps progress.json and pictures.png in each stage's folder within ``out``."""

    def __init__(self, out: Path) -> None:
        self.out = out

    def on_stage_begin(self, stage: str, step: int, steps: int) -> None:
        """Take up the time that earlier sessions spent."""
        self.stage, self.folder = stage, self.out / stage
        self.since = time.monotonic()
        self.spent = read_progress(self.folder).seconds
        self.progress = Progress(step, steps, self.spent)

    def on_step_end(self, stats: StepStats) -> None:
        """Remember the step."""
        self.progress = self.progress._replace(step=stats.step)

    def on_log(self, row: Mapping[str, float]) -> None:
        """Write it down now and then: a run may be killed."""
        self._write()

    def on_images(self, step: int, pictures: Sequence[ValidationImage]) -> None:
        """Draw them in place of the last ones."""
        if pictures:
            title = f"{self.stage}, step {step} of {self.progress.steps}"
            draw_pictures(self.folder / PICTURES, pictures, title)

    def on_stage_end(self) -> None:
        """Write down the whole time."""
        self._write()

    def _write(self) -> None:
        seconds = round(self.spent + time.monotonic() - self.since, 3)
        self.progress = self.progress._replace(seconds=seconds)
        atomic_write(self.folder / PROGRESS, json.dumps(self.progress._asdict()) + "\n")
