"""Rows and pictures of a training to TensorBoard, Weights & Biases and MLflow: all of them offline.

Through Accelerate's trackers. Each writes into a folder of its own within the run's. When a stage goes on
from a step, TensorBoard drops what was written of later ones; the other two, which cannot take back, get a
run a session, named after the stage and that step.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

from save_avs._extras import require
from save_avs.training.callbacks.base import Callback, ValidationImage
from save_avs.training.callbacks.pictures import panels
from save_avs.training.choices import Tracker
from save_avs.types import U8

# Nothing is to leave this machine: read by the packages when they are imported.
SILENT = {"MLFLOW_DISABLE_TELEMETRY": "true", "WANDB_ERROR_REPORTING": "false"}


class Forwarded(Protocol):
    """What a tracker does with a stage."""

    def log(self, values: dict[str, float], step: int) -> None:
        """Figures of a step."""
        ...

    def show(self, pictures: Mapping[str, U8], step: int) -> None:
        """Pictures of a step, u8 [H,W,3] each."""
        ...

    def finish(self) -> None:
        """Write what is not written yet, and close."""
        ...


class TensorBoard:
    """Event files in ``OUT/tensorboard/STAGE``."""

    def __init__(self, out: Path, stage: str, step: int) -> None:
        from accelerate.tracking import TensorBoardTracker

        # The row of the step itself stands already: it was written before the checkpoint.
        first = step + 1 if step else 0
        self._tracker: Any = TensorBoardTracker(stage, out / "tensorboard", purge_step=first)
        self._tracker.start()

    def log(self, values: dict[str, float], step: int) -> None:
        """Scalars."""
        self._tracker.log(values, step=step)

    def show(self, pictures: Mapping[str, U8], step: int) -> None:
        """Pictures, each under its own tag with a slider over the steps."""
        batches = {key: picture[None] for key, picture in pictures.items()}
        self._tracker.log_images(batches, step=step, dataformats="NHWC")

    def finish(self) -> None:
        """Close the event file."""
        self._tracker.finish()


class WeightsAndBiases:
    """An offline run in ``OUT/wandb``; ``wandb sync`` uploads it."""

    def __init__(self, out: Path, stage: str, step: int) -> None:
        from accelerate.tracking import WandBTracker

        self._tracker: Any = WandBTracker(
            "save-avs", name=session_name(stage, step), group=out.name, dir=str(out), mode="offline"
        )
        self._tracker.start()

    def log(self, values: dict[str, float], step: int) -> None:
        """Figures."""
        self._tracker.log(values, step=step)

    def show(self, pictures: Mapping[str, U8], step: int) -> None:
        """Pictures."""
        self._tracker.log_images({key: [picture] for key, picture in pictures.items()}, step=step)

    def finish(self) -> None:
        """Close the run."""
        self._tracker.finish()


class MLflow:
    """A run in the database ``OUT/mlflow.db``, its images in ``OUT/mlflow``."""

    def __init__(self, out: Path, stage: str, step: int) -> None:
        from accelerate.tracking import MLflowTracker

        _mlflow().set_tracking_uri(f"sqlite:///{out.resolve() / 'mlflow.db'}")
        images = (out / "mlflow").resolve().as_uri()
        self._tracker: Any = MLflowTracker(out.name, images, run_name=session_name(stage, step))
        self._tracker.start()

    def log(self, values: dict[str, float], step: int) -> None:
        """Metrics."""
        self._tracker.log(values, step=step)

    def show(self, pictures: Mapping[str, U8], step: int) -> None:
        """Images, of which Accelerate's tracker knows nothing."""
        for key, picture in pictures.items():
            _mlflow().log_image(picture, key=key, step=step)

    def finish(self) -> None:
        """End the run."""
        self._tracker.finish()


def _mlflow() -> Any:
    return import_module("mlflow")  # an extra, which type checks do without


BACKENDS: dict[Tracker, Callable[[Path, str, int], Forwarded]] = {
    "tensorboard": TensorBoard,
    "wandb": WeightsAndBiases,
    "mlflow": MLflow,
}


def session_name(stage: str, step: int) -> str:
    """What a session of a stage is called."""
    return f"{stage} from step {step}" if step else stage


class TrackerCallback(Callback):
    """Forwards rows and pictures of each stage.

    Args:
        out: the run's folder.
        names: which trackers.

    Raises:
        UsageError: when one of them is not installed.
    """

    def __init__(self, out: Path, names: Sequence[Tracker]) -> None:
        for name in names:
            require(name, name)
        self._out, self._names = out, names
        self._open: list[Forwarded] = []

    def on_stage_begin(self, stage: str, step: int, steps: int) -> None:
        """Open them."""
        from accelerate.state import PartialState

        PartialState()  # Accelerate's loggers ask for it
        for name, value in SILENT.items():
            os.environ.setdefault(name, value)
        self._open = [BACKENDS[name](self._out, stage, step) for name in self._names]

    def on_log(self, row: Mapping[str, float]) -> None:
        """Forward a row."""
        values = by_group(row)
        for tracker in self._open:
            tracker.log(values, int(row["step"]))

    def on_images(self, step: int, pictures: Sequence[ValidationImage]) -> None:
        """Forward truth, mask found and its probabilities."""
        drawn = {f"masks/{k}": panels(picture) for k, picture in enumerate(pictures)}
        for tracker in self._open:
            tracker.show(drawn, step)

    def on_stage_end(self) -> None:
        """Close them."""
        for tracker in self._open:
            tracker.finish()
        self._open = []


def by_group(row: Mapping[str, float]) -> dict[str, float]:
    """A row's figures as trackers group them, ``train/loss`` and ``val/miou``; without what is no number."""
    return {
        f"val/{name.removeprefix('val_')}" if name.startswith("val_") else f"train/{name}": float(value)
        for name, value in row.items()
        if name != "step" and math.isfinite(value)
    }
