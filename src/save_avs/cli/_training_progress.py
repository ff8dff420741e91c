"""Progress of a training run on stderr."""

import time
from collections.abc import Mapping

from save_avs.cli._progress import ProgressDisplay, format_duration
from save_avs.training.callbacks.callback import Callback, StepStats

GB = 1e9


class TrainingProgress(ProgressDisplay, Callback):
    """A callback that shows the progress of a stage, and the metrics of every validation."""

    def __init__(self) -> None:
        super().__init__("MofNCompleteColumn", interval=30.0)

    def on_stage_begin(self, stage: str, step: int, steps: int) -> None:
        """Show the stage in place of the one before."""
        self._stage, self._steps = stage, steps
        self._printed_at = time.monotonic()
        self.show(stage, step, steps, detail="starting")

    def on_step_end(self, stats: StepStats) -> None:
        """Show the step; as a line only after some time."""
        detail = (
            f"loss {stats.loss:.4g}  lr {stats.lr:.2g}  {stats.frames_per_s:.1f} frames/s  "
            f"data {stats.data_wait:.0%}  {stats.memory / GB:.1f} GB  {format_duration(stats.eta_s)} left"
        )
        line = f"{self._stage} {stats.step}/{stats.steps}: {detail}"
        last = stats.step == stats.steps
        self.show(self._stage, stats.step, self._steps, detail=detail, line=line, force=last)

    def on_log(self, row: Mapping[str, float]) -> None:
        """Print the metrics of a validation; those of training steps are in the bar."""
        metrics = {name.removeprefix("val_"): v for name, v in row.items() if name.startswith("val_")}
        if metrics:
            shown = "  ".join(f"{name} {value:.4g}" for name, value in metrics.items())
            self.print_info(f"{self._stage} {row['step']:.0f}/{self._steps}: validation  {shown}")

    def on_message(self, text: str) -> None:
        """Print a line."""
        self.print_line(text)
