"""What the commands that run a model share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from save_avs.cli._console import print_info
from save_avs.cli._progress import VideoProgress

if TYPE_CHECKING:
    from save_avs.inference.result_folders import SegmentationJob
    from save_avs.models import SAVE
    from save_avs.runtimes import RuntimeModel


def resolve_model(name: str) -> str | Path:
    """Return the model's name or folder; a model on the Hub is downloaded first."""
    from save_avs.runtimes.loading import find_model_folder
    from save_avs.weights.hub import HUB_PREFIX

    return find_model_folder(name) if name.startswith(HUB_PREFIX) else name


def load_and_announce(name: str, *, device: str, precision: str) -> SAVE:
    """Load a model, and say on stderr which, where it runs and in which arithmetic."""
    from save_avs.runtimes import load_model

    model = load_model(resolve_model(name), device=device, precision=precision)
    _announce(model)
    return model


def announced_runtime(name: str, *, device: str, precision: str, runtime: str) -> SAVE | RuntimeModel:
    """As ``load_and_announce``, computed by the runtime asked for."""
    from save_avs.runtimes import load_model

    model = load_model(resolve_model(name), device=device, precision=precision, runtime=runtime)
    _announce(model)
    return model


def _announce(model: SAVE | RuntimeModel) -> None:
    print_info(f"model {model.name} on {model.device}, {model.precision}, {model.runtime}")


def display(job: SegmentationJob) -> VideoProgress:
    """Show the progress of a job."""
    return VideoProgress(job.path.name)
