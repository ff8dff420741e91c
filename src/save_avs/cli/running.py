"""What the commands that run a model share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from save_avs.cli.progress import Display
from save_avs.cli.talk import note

if TYPE_CHECKING:
    from save_avs.inference.jobs import Job
    from save_avs.model import SAVE
    from save_avs.model.runtimes import RuntimeModel


def announced_model(name: str, *, device: str, precision: str) -> SAVE:
    """Load a model, and say on stderr which, where it runs and in which arithmetic."""
    from save_avs.model import load_model

    model = load_model(name, device=device, precision=precision)
    _announce(model)
    return model


def announced_runtime(name: str, *, device: str, precision: str, runtime: str) -> SAVE | RuntimeModel:
    """As ``announced_model``, computed by the runtime asked for."""
    from save_avs.model import load_model

    model = load_model(name, device=device, precision=precision, runtime=runtime)
    _announce(model)
    return model


def _announce(model: SAVE | RuntimeModel) -> None:
    note(f"model {model.name} on {model.device}, {model.precision}, {model.runtime}")


def display(job: Job) -> Display:
    """Show the progress of a job."""
    return Display(job.path.name)
