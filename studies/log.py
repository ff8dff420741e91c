"""Progress lines of a run."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from save_avs.training.callbacks.callback import Callback, StepStats

LINES = 5  # per stage, and per scoring


class LogCallback(Callback):
    """Logs a few lines about each stage of a training, and about the scoring after it.

    Args:
        name: of the run, which each line starts with.
        log: called with each line.
    """

    def __init__(self, name: str, log: Callable[[str], None]) -> None:
        self._name, self._log, self._stage = name, log, ""

    def on_stage_begin(self, stage: str, step: int, steps: int) -> None:
        """Remember the stage."""
        self._stage = stage

    def on_step_end(self, stats: StepStats) -> None:
        """Log loss and speed, a few times per stage."""
        if stats.step % max(1, stats.steps // LINES) == 0:
            self._log(
                f"{self._name} {self._stage}: {stats.step}/{stats.steps}, loss {stats.loss:.3f}, "
                f"{stats.frames_per_s:.1f} frames/s, {stats.eta_s:.0f} s left"
            )

    def on_log(self, row: Mapping[str, float]) -> None:
        """Log the metrics of a validation."""
        metrics = [f"{name[4:]} {value:.3f}" for name, value in row.items() if name.startswith("val_")]
        if metrics:
            self._log(f"{self._name} {self._stage}: validation {', '.join(metrics)}")

    def on_message(self, text: str) -> None:
        """Log a message of the training."""
        self._log(f"{self._name}: {text}")

    def on_scored(self, done: int, total: int) -> None:
        """Log the progress of the scoring."""
        if done % max(1, total // LINES) == 0:
            self._log(f"{self._name}: scored {done}/{total}")
