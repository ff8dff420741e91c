"""What a training run tells those who watch it: a progress bar, trackers, a report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from save_avs.types import U8


class StepStats(NamedTuple):
    """Where a stage stands after an optimizer step.

    Attributes:
        step, steps: done, and in all.
        loss: of this step.
        lr: the learning rate of this step.
        frames_per_s: frames (or sounds) trained a second, over the last steps, over all processes.
        data_wait: share of the last steps' time that was spent waiting for data, 0 to 1.
        memory: bytes: the process's resident memory on a CPU, the allocator's peak on a GPU.
        eta_s: seconds to the stage's end at this pace.
    """

    step: int
    steps: int
    loss: float
    lr: float
    frames_per_s: float
    data_wait: float
    memory: int
    eta_s: float


class ValidationImage(NamedTuple):
    """A validation frame u8 [S,S,3], the mask found as probabilities f32 [M,M], and the true one [M,M]."""

    name: str
    frame: U8
    found: np.ndarray
    truth: np.ndarray


class Callback:
    """Sees a stage from its beginning to its end; only the main process has watchers.

    A watch overrides what it cares for; the rest does nothing.
    """

    def on_stage_begin(self, stage: str, step: int, steps: int) -> None:
        """A stage begins, or goes on, at a step."""

    def on_step_end(self, stats: StepStats) -> None:
        """An optimizer step was made."""

    def on_log(self, row: Mapping[str, float]) -> None:
        """A row was added to metrics.jsonl: the means of some steps, or the figures of a validation."""

    def on_images(self, step: int, pictures: Sequence[ValidationImage]) -> None:
        """A validation was made; these are its first frames."""

    def on_message(self, text: str) -> None:
        """A line for the reader."""

    def on_stage_end(self) -> None:
        """The stage is over: it is done, or an error or a signal broke it off."""
