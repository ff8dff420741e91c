"""What the commands that run a model share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from save_avs.cli.progress import Display

if TYPE_CHECKING:
    from save_avs.inference.jobs import Job
    from save_avs.model import SAVE


def announced_model(name: str, *, device: str, precision: str) -> SAVE:
    """Load a model, and say on stderr which, where it runs and in which arithmetic."""
    from save_avs.model import load_model

    model = load_model(name, device=device, precision=precision)
    typer.echo(f"model {model.name} on {model.device}, {model.precision}", err=True)
    return model


def display(job: Job) -> Display:
    """Show the progress of a job."""
    return Display(job.path.name)
