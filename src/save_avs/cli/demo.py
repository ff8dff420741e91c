"""`save-avs demo`: the bundled model on the bundled video."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from save_avs.cli._console import print_line
from save_avs.cli._options import DryRun

if TYPE_CHECKING:
    from save_avs.inference.audio_events import AudioEvent
    from save_avs.inference.result_folders import SegmentationJob
    from save_avs.models import SAVE

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

    from save_avs.cli._models import load_and_announce
    from save_avs.inference.audio_events import detect_audio_events
    from save_avs.inference.result_folders import ExistingPolicy, plan_jobs

    with as_file(files("save_avs") / "bundled" / "sample.mp4") as sample:
        (job,) = plan_jobs([sample], output, ExistingPolicy.NEXT_FREE)
        if dry_run:
            print_line(f"would segment {sample.name} -> {job.folder}")
            return 0
        model = load_and_announce("save-tiny", device="auto", precision="auto")
        _print_result(job, _segment(job, model), detect_audio_events(model, sample))
    return 0


def _segment(job: SegmentationJob, model: SAVE) -> dict[str, Any]:
    from save_avs.cli._models import display
    from save_avs.inference import segment

    with display(job) as shown:
        result = segment(
            job.path, model=model, directory=job.folder, on_progress=shown.update, on_warning=shown.warn
        )
    return result.summary()


def _print_result(job: SegmentationJob, summary: dict[str, Any], sounds: list[AudioEvent]) -> None:
    print_line(
        f"{summary['frames']} frames in {summary['seconds']:.1f} s ({summary['frames_per_second']:.1f} fps)"
    )
    print_line("heard:")
    for sound in sounds:
        print_line(
            f"  {sound.start:6.2f} s to {sound.end:6.2f} s: {sound.name} ({sound.probability:.0%} sure)"
        )
    print_line("seen:")
    for span in summary["spans"]:
        print_line(
            f"  {span['start']:6.2f} s to {span['end']:6.2f} s: something sounds, "
            f"{100 * span['area']:.1f} % of the picture is marked"
        )
    if not summary["spans"]:
        print_line("  nothing that sounds was found")
    print_line(f"overlay:  {job.folder / 'overlay.mp4'}")
    print_line(f"timeline: {job.folder / 'timeline.png'}")
