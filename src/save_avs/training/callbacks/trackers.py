"""Sends rows and images to TensorBoard, Weights & Biases and MLflow through Accelerate's trackers, offline.

Each tracker writes into a folder of its own within the run's. When a stage resumes from a step, TensorBoard
drops what was written of later ones; the other two, which cannot, get one run per session, named after the
stage and that step.
"""

import math
import os
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from save_avs._extras import require
from save_avs.training.callbacks.callback import Callback, ValidationImage
from save_avs.training.callbacks.validation_images import panels
from save_avs.training.recipe import Tracker
from save_avs.types import U8

# No telemetry; read by the packages when they are imported.
NO_TELEMETRY = {"MLFLOW_DISABLE_TELEMETRY": "true", "WANDB_ERROR_REPORTING": "false"}


def _open_tracker(name: Tracker, out: Path, stage: str, step: int) -> Any:
    from accelerate import tracking

    session: Any = session_name(stage, step)
    match name:
        case "tensorboard":  # event files in OUT/tensorboard/STAGE
            # The row of the step itself is kept: it was written before the checkpoint.
            purge_step: Any = step + 1 if step else 0
            return tracking.TensorBoardTracker(stage, out / "tensorboard", purge_step=purge_step)
        case "wandb":  # an offline run in OUT/wandb; `wandb sync` uploads it
            return tracking.WandBTracker(
                "save-avs", name=session, group=out.name, dir=str(out), mode="offline"
            )
        case "mlflow":  # a run in the database OUT/mlflow.db, its images in OUT/mlflow
            mlflow: Any = import_module("mlflow")  # an extra, which type checks do without
            mlflow.set_tracking_uri(f"sqlite:///{out.resolve() / 'mlflow.db'}")
            return tracking.MLflowTracker(out.name, (out / "mlflow").resolve().as_uri(), run_name=session)


def _log_images(name: Tracker, tracker: Any, images: Mapping[str, U8], step: int) -> None:
    """Send images, u8 [H,W,3] each, under their own names with a slider over the steps."""
    match name:
        case "tensorboard":
            batches = {key: image[None] for key, image in images.items()}
            tracker.log_images(batches, step=step, dataformats="NHWC")
        case "wandb":
            tracker.log_images({key: [image] for key, image in images.items()}, step=step)
        case "mlflow":  # Accelerate's tracker cannot
            for key, image in images.items():
                import_module("mlflow").log_image(image, key=key, step=step)


def session_name(stage: str, step: int) -> str:
    """Return the name of a session of a stage."""
    return f"{stage} from step {step}" if step else stage


def require_trackers(names: Sequence[Tracker]) -> None:
    """Raise a UsageError if the package of a tracker is not installed."""
    for name in names:
        require(name, name)


class TrackerCallback(Callback):
    """Sends rows and images of each stage to trackers, which write into the run's folder ``out``."""

    def __init__(self, out: Path, names: Sequence[Tracker]) -> None:
        require_trackers(names)
        self._out, self._names = out, names
        self._open: dict[Tracker, Any] = {}

    def on_stage_begin(self, stage: str, step: int, steps: int) -> None:
        """Open the trackers."""
        from accelerate.state import PartialState

        PartialState()  # Accelerate's loggers require it
        for name, value in NO_TELEMETRY.items():
            os.environ.setdefault(name, value)
        self._open = {name: _open_tracker(name, self._out, stage, step) for name in self._names}
        for tracker in self._open.values():
            tracker.start()

    def on_log(self, row: Mapping[str, float]) -> None:
        """Send a row."""
        values = grouped(row)
        for tracker in self._open.values():
            tracker.log(values, step=int(row["step"]))

    def on_images(self, step: int, images: Sequence[ValidationImage]) -> None:
        """Send target, prediction and probabilities of each image."""
        drawn = {f"masks/{k}": np.concatenate(panels(image), axis=1) for k, image in enumerate(images)}
        for name, tracker in self._open.items():
            _log_images(name, tracker, drawn, step)

    def on_stage_end(self) -> None:
        """Close the trackers."""
        for tracker in self._open.values():
            tracker.finish()
        self._open = {}


def grouped(row: Mapping[str, float]) -> dict[str, float]:
    """Name a row's finite values as trackers group them: ``train/loss``, ``val/miou``."""
    return {
        f"val/{name.removeprefix('val_')}" if name.startswith("val_") else f"train/{name}": float(value)
        for name, value in row.items()
        if name != "step" and math.isfinite(value)
    }
