"""`save-avs demo`: the bundled model on the bundled video."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from save_avs.cli._console import plural, print_line
from save_avs.cli._options import DryRun, output_folder

if TYPE_CHECKING:
    from save_avs.inference.audio_events import AudioEvent


def demo(
    output: Annotated[
        Path, output_folder(True, "Folder for the results, in DIR/sample/ or the next free name.")
    ] = Path("runs/demo"),
    dry_run: DryRun = False,
) -> int:
    """Segment the bundled sample video with the bundled model, and print what sounds when.

    \b
    Examples:
      save-avs demo
      save-avs demo -o somewhere
    """
    from save_avs._extras import models_folder
    from save_avs.inference.result_folders import ExistingPolicy, plan_jobs

    sample = models_folder() / "sample.mp4"
    (job,) = plan_jobs([sample], output, ExistingPolicy.NEXT_FREE)
    if dry_run:
        print_line(f"would segment {sample.name} -> {job.folder}")
        return 0
    from save_avs.cli._models import load_and_announce
    from save_avs.cli._progress import VideoProgress
    from save_avs.inference.audio_events import detect_audio_events
    from save_avs.inference.pipeline import segment

    model = load_and_announce("save-small", device="auto", precision="auto")
    with VideoProgress(job.path.name) as progress:
        result = segment(
            job.path,
            model=model,
            directory=job.folder,
            on_progress=progress.update,
            on_warning=progress.warn,
        )
    _print_result(result.summary(), detect_audio_events(model, sample))
    print_line(f"overlay:  {job.folder / 'overlay.mp4'}")
    print_line(f"timeline: {job.folder / 'timeline.png'}")
    return 0


def _print_result(summary: dict[str, Any], events: list[AudioEvent]) -> None:
    frames, fps = plural(summary["frames"], "frame"), summary["frames_per_second"]
    print_line(f"{frames} in {summary['seconds']:.1f} s ({fps:.1f} fps)")
    print_line("audio events:")
    for event in events:
        print_line(f"  {event.start:6.2f} s to {event.end:6.2f} s: {event.name} ({event.probability:.0%})")
    print_line("sounding objects:")
    for span in summary["spans"]:
        area = f"{span['area']:.1%} of the image"
        print_line(f"  {span['start']:6.2f} s to {span['end']:6.2f} s: {area}")
    if not summary["spans"]:
        print_line("  none found")
