"""`save-avs demo`: the bundled model on the bundled video."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from save_avs.cli.options import DryRun
from save_avs.cli.talk import say

if TYPE_CHECKING:
    from save_avs.inference.hearing import Heard
    from save_avs.inference.jobs import Job
    from save_avs.model import SAVE

DEFAULT_DIRECTORY = Path("runs/demo")

EXAMPLES = """Examples:

\b
  save-avs demo
  save-avs demo -o somewhere
"""


def demo(
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", metavar="DIR", help="Results go to DIR/sample/, or the next free name."
        ),
    ] = DEFAULT_DIRECTORY,
    dry_run: DryRun = False,
) -> int:
    """Segment the bundled sample video with the bundled model, and say what was heard and where it lies."""
    from importlib.resources import as_file, files

    from save_avs.cli.running import announced_model
    from save_avs.inference.hearing import heard
    from save_avs.inference.jobs import Existing, plan_jobs

    with as_file(files("save_avs") / "bundled" / "sample.mp4") as sample:
        (job,) = plan_jobs([sample], output, Existing.NEXT_FREE)
        if dry_run:
            say(f"would segment {sample.name} -> {job.folder}")
            return 0
        model = announced_model("save-tiny", device="auto", precision="auto")
        _print_result(job, _segment(job, model), heard(model, sample))
    return 0


def _segment(job: Job, model: SAVE) -> dict[str, Any]:
    from save_avs.cli.running import display
    from save_avs.inference import segment

    with display(job) as shown:
        result = segment(
            job.path, model=model, directory=job.folder, on_progress=shown.update, on_warning=shown.warn
        )
    return result.summary()


def _print_result(job: Job, summary: dict[str, Any], sounds: list[Heard]) -> None:
    say(f"{summary['frames']} frames in {summary['seconds']:.1f} s ({summary['frames_per_second']:.1f} fps)")
    say("heard:")
    for sound in sounds:
        say(f"  {sound.start:6.2f} s to {sound.end:6.2f} s: {sound.name} ({sound.probability:.0%} sure)")
    say("seen:")
    for span in summary["spans"]:
        say(
            f"  {span['start']:6.2f} s to {span['end']:6.2f} s: something sounds, "
            f"{100 * span['area']:.1f} % of the picture is marked"
        )
    if not summary["spans"]:
        say("  nothing that sounds was found")
    say(f"overlay:  {job.folder / 'overlay.mp4'}")
    say(f"timeline: {job.folder / 'timeline.png'}")
