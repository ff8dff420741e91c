"""What the commands that run a model share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from save_avs.cli.progress import Display
from save_avs.cli.talk import note

if TYPE_CHECKING:
    from save_avs.inference.jobs import Job
    from save_avs.model import SAVE
    from save_avs.model.runtimes import RuntimeModel


def found_model(name: str) -> str | Path:
    """The model itself, or where one of a hub lies once it is fetched, with the progress shown on stderr."""
    from save_avs.checkpoints.fetch import Reporter
    from save_avs.checkpoints.hub import PREFIX
    from save_avs.cli.transfers import Transfers
    from save_avs.model.loading import find_model

    if not name.startswith(PREFIX):
        return name
    with Transfers() as shown:
        return find_model(name, Reporter(shown.step, shown.say))


def announced_model(name: str, *, device: str, precision: str) -> SAVE:
    """Load a model, and say on stderr which, where it runs and in which arithmetic."""
    from save_avs.model import load_model

    model = load_model(found_model(name), device=device, precision=precision)
    _announce(model)
    return model


def announced_runtime(name: str, *, device: str, precision: str, runtime: str) -> SAVE | RuntimeModel:
    """As ``announced_model``, computed by the runtime asked for."""
    from save_avs.model import load_model

    model = load_model(found_model(name), device=device, precision=precision, runtime=runtime)
    _announce(model)
    return model


def _announce(model: SAVE | RuntimeModel) -> None:
    note(f"model {model.name} on {model.device}, {model.precision}, {model.runtime}")


def display(job: Job) -> Display:
    """Show the progress of a job."""
    return Display(job.path.name)
