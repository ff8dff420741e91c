"""The callback interface, and what callbacks receive."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from save_avs.types import U8

WINDOW = 50  # steps over which rates are averaged


class StepStats(NamedTuple):
    """The state of a stage after an optimizer step."""

    # step, steps: done, and in all
    step: int
    steps: int
    loss: float  # of this step; NaN for a skipped one
    lr: float  # learning rate of this step
    frames_per_s: float  # frames (or sounds) trained per second, over the last steps and all processes
    data_wait: float  # share of the last steps' time that was spent waiting for data, 0 to 1
    memory: int  # bytes: resident memory of the process on a CPU, the allocator's peak on a GPU
    eta_s: float  # seconds to the end of the stage


class ValidationImage(NamedTuple):
    """A validation frame u8 [S,S,3], its predicted mask as probabilities f32 [M,M], and the target [M,M]."""

    name: str
    frame: U8
    pred: np.ndarray
    target: np.ndarray


class Callback:
    """Receives the events of each stage, in the main process only. Override what you need."""

    def on_stage_begin(self, stage: str, step: int, steps: int) -> None:
        """Called when a stage starts, or resumes at a step."""

    def on_step_end(self, stats: StepStats) -> None:
        """Called after each optimizer step."""

    def on_log(self, row: Mapping[str, float]) -> None:
        """Called with each row of metrics.jsonl: means of some steps, or the metrics of a validation."""

    def on_images(self, step: int, images: Sequence[ValidationImage]) -> None:
        """Called after a validation with its first frames."""

    def on_message(self, text: str) -> None:
        """Called with a line for the user."""

    def on_stage_end(self) -> None:
        """Called when a stage ends, also after an error or a stop signal."""
