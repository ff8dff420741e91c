"""What a run says of itself: a line now and then."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from save_avs.training.callbacks.base import Callback, StepStats

TOLD = 5  # how often a stage, or a scoring, is told of


class LogCallback(Callback):
    """Says now and then, in a line, how far a run is."""

    def __init__(self, name: str, say: Callable[[str], None]) -> None:
        self.name, self.say = name, say

    def on_stage_begin(self, stage: str, step: int, steps: int) -> None:
        """Name the stage."""
        self.stage = stage

    def on_step_end(self, stats: StepStats) -> None:
        """Say where it stands, a few times a stage."""
        if stats.step % max(1, stats.steps // TOLD) == 0:
            self._line(
                f"{stats.step}/{stats.steps}, loss {stats.loss:.3f}, {stats.frames_per_s:.1f} frames/s, "
                f"{stats.eta_s:.0f} s left"
            )

    def on_log(self, row: Mapping[str, float]) -> None:
        """Say the figures of a validation."""
        figures = [f"{name[4:]} {value:.3f}" for name, value in row.items() if name.startswith("val_")]
        if figures:
            self._line("validation " + ", ".join(figures))

    def on_message(self, text: str) -> None:
        """Pass it on."""
        self.say(f"{self.name}: {text}")

    def scored(self, done: int, of: int) -> None:
        """Say how far the scoring is."""
        if done % max(1, of // TOLD) == 0:
            self.say(f"{self.name}: scored {done}/{of}")

    def _line(self, text: str) -> None:
        self.say(f"{self.name} {self.stage}: {text}")
