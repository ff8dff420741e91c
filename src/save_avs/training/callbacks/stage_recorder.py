"""Records the progress of a stage (progress.json), and its last validation images, in its folder."""

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from save_avs._files import atomic_write
from save_avs.training.callbacks.callback import Callback, StepStats, ValidationImage
from save_avs.training.callbacks.validation_images import draw_validation_images

PROGRESS, IMAGES = "progress.json", "validation_images.png"


class StageProgress(NamedTuple):
    """Steps done and in all, and seconds spent in all sessions."""

    step: int = 0
    steps: int = 0
    seconds: float = 0.0


def read_progress(folder: Path) -> StageProgress:
    """Return the progress of a stage; none where nothing readable was written."""
    try:
        return StageProgress(**json.loads((folder / PROGRESS).read_text()))
    except (OSError, ValueError, TypeError):
        return StageProgress()


class StageRecorder(Callback):
    """Writes progress.json and validation_images.png into the folder of each stage within ``out``."""

    def __init__(self, out: Path) -> None:
        self.out = out

    def on_stage_begin(self, stage: str, step: int, steps: int) -> None:
        """Continue the clock of earlier sessions."""
        self.stage, self.folder = stage, self.out / stage
        self.start = time.monotonic()
        self.earlier_s = read_progress(self.folder).seconds
        self.progress = StageProgress(step, steps, self.earlier_s)

    def on_step_end(self, stats: StepStats) -> None:
        """Count the step."""
        self.progress = self.progress._replace(step=stats.step)

    def on_log(self, row: Mapping[str, float]) -> None:
        """Write the progress: a run may be killed."""
        self._write()

    def on_images(self, step: int, images: Sequence[ValidationImage]) -> None:
        """Draw the images in place of the last ones."""
        if images:
            title = f"{self.stage}, step {step} of {self.progress.steps}"
            draw_validation_images(self.folder / IMAGES, images, title)

    def on_stage_end(self) -> None:
        """Write the progress."""
        self._write()

    def _write(self) -> None:
        seconds = round(self.earlier_s + time.monotonic() - self.start, 3)
        self.progress = self.progress._replace(seconds=seconds)
        atomic_write(self.folder / PROGRESS, json.dumps(self.progress._asdict()) + "\n")
