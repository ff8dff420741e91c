"""A callback that records all events, and a trainer on the CPU."""

from __future__ import annotations

from pathlib import Path

from save_avs.training.callbacks.callback import Callback
from save_avs.training.distributed import DistributedContext
from save_avs.training.recipe import TrainerOptions
from save_avs.training.trainer import Trainer


class RecordingCallback(Callback):
    """Records all events."""

    def __init__(self) -> None:
        self.messages, self.rows, self.steps, self.stages, self.images = [], [], [], [], []

    def on_stage_begin(self, stage, step, steps):
        self.stages.append((stage, step, steps))

    def on_step_end(self, stats):
        self.steps.append(stats)

    def on_log(self, row):
        self.rows.append(row)

    def on_images(self, step, images):
        self.images.append((step, images))

    def on_message(self, text):
        self.messages.append(text)


def make_trainer(task, stage, folder: Path, callback=None, distributed=None, **options) -> Trainer:
    return Trainer(
        task,
        stage,
        folder,
        distributed=distributed or DistributedContext(device="cpu"),
        options=TrainerOptions(**{"checkpoint_interval_s": 1e9, "workers": 0, **options}),
        callbacks=[callback] if callback else [],
    )
