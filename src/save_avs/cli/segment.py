"""`save-avs segment`: videos in, masks of what sounds out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from save_avs.cli._console import print_block, print_line
from save_avs.cli._options import AsJson, Device, DryRun, Overwrite, Precision, Runtime
from save_avs.cli.completion import model_names
from save_avs.errors import MediaError, UsageError

if TYPE_CHECKING:
    from save_avs.inference.multiple_inputs import SegmentationOutcome
    from save_avs.inference.result_folders import ExistingPolicy

DEFAULT_DIRECTORY = Path("runs/segment")
DEFAULT_OUTPUTS = ("overlay", "masks", "timeline")
INPUT_FAILED = MediaError.exit_code

EXAMPLES = """Examples:

\b
  save-avs segment clip.mp4
  save-avs segment clip.mp4 -o out --overwrite
  save-avs segment videos/ 'more/**/*.webm' -o out --resume
  save-avs segment clip.mp4 --fps 5 --save masks,png
  save-avs segment clip.mp4 --save overlay,matte,coco
  save-avs segment clip.mp4 --json > report.json
"""


def segment(
    inputs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="INPUT",
            help="Video files, folders to search for them, or globs.",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="DIR",
            show_default=str(DEFAULT_DIRECTORY),
            help="Results go to DIR/<stem>/.",
        ),
    ] = None,
    model: Annotated[
        str,
        typer.Option(
            "--model",
            metavar="NAME|PATH|hf:OWNER/NAME",
            help="A bundled model, a model's folder, or one on a Hugging Face hub.",
            autocompletion=model_names,
        ),
    ] = "save-tiny",
    fps: Annotated[
        str,
        typer.Option("--fps", metavar="N|native", help="Frames a second to process; native: all."),
    ] = "native",
    threshold: Annotated[
        float, typer.Option("--threshold", help="Pixels of a higher probability are marked.")
    ] = 0.5,
    precision: Precision = "auto",
    device: Device = "auto",
    runtime: Runtime = "auto",
    save: Annotated[
        str | None,
        typer.Option(
            "--save",
            metavar="LIST",
            show_default=",".join(DEFAULT_OUTPUTS),
            help="What to write, of overlay, matte, masks, timeline, png, coco, npz, cvat, labelstudio.",
        ),
    ] = None,
    overwrite: Overwrite = False,
    resume: Annotated[bool, typer.Option("--resume", help="Keep finished results, do the rest.")] = False,
    as_json: AsJson = False,
    dry_run: DryRun = False,
) -> int:
    """Mark the things that sound in videos: an overlay video, masks, a timeline and a summary for each."""
    from save_avs.inference.result_folders import find_input_videos, plan_jobs
    from save_avs.inference.settings import SegmentationSettings, parse_fps, parse_outputs

    outputs = parse_outputs(",".join(DEFAULT_OUTPUTS) if save is None else save)
    settings = SegmentationSettings(fps=parse_fps(fps), threshold=threshold, outputs=outputs)
    if not inputs:
        raise UsageError(
            "Missing argument INPUT: name a video file, a folder or a pattern such as 'clips/*.mp4'"
        )
    directory = output or DEFAULT_DIRECTORY
    existing = _existing(overwrite, resume, named=output is not None)
    jobs = plan_jobs(find_input_videos(inputs), directory, existing)
    if dry_run:
        planned = [{"path": str(j.path), "folder": str(j.folder), "finished": j.finished} for j in jobs]
        if as_json:
            print_block(json.dumps({"version": 1, "planned": planned}))
            return 0
        for job in jobs:
            print_line(f"{job.path} -> {job.folder}{' (finished)' if job.finished else ''}")
        return 0

    from save_avs.cli._models import announced_runtime, display
    from save_avs.inference.multiple_inputs import segment_jobs

    network = announced_runtime(model, device=device, precision=precision, runtime=runtime)
    outcomes: list[SegmentationOutcome] = []
    for outcome in segment_jobs(
        jobs, directory, settings, model=network, display=display, overwrite=overwrite
    ):
        outcomes.append(outcome)
        _print_outcome(outcome, as_json)
    if as_json:
        print_block(json.dumps(_report(outcomes, directory), indent=2))
    return INPUT_FAILED if any(outcome.summary is None for outcome in outcomes) else 0


def _existing(overwrite: bool, resume: bool, *, named: bool) -> ExistingPolicy:
    from save_avs.inference.result_folders import ExistingPolicy

    if overwrite and resume:
        raise UsageError("--overwrite and --resume exclude each other; choose one")
    if overwrite:
        return ExistingPolicy.OVERWRITE
    if resume:
        return ExistingPolicy.RESUME
    return ExistingPolicy.REFUSE if named else ExistingPolicy.NEXT_FREE


def _print_outcome(outcome: SegmentationOutcome, as_json: bool) -> None:
    job, summary = outcome.job, outcome.summary
    if summary is None:
        print_line(f"failed: {outcome.reason}", err=True)
    elif job.finished:
        print_line(f"{job.path} -> {job.folder} (finished before, kept)", err=as_json)
    else:
        print_line(
            f"{job.path} -> {job.folder} ({summary['frames']} frames in {summary['seconds']:.1f} s, "
            f"{summary['frames_per_second']:.1f} fps; {summary['marked_frames']} of them marked)",
            err=as_json,
        )


def _report(outcomes: list[SegmentationOutcome], directory: Path) -> dict[str, Any]:
    """The document that --json prints."""
    done = [outcome for outcome in outcomes if outcome.summary is not None]
    failed = [outcome for outcome in outcomes if outcome.summary is None]
    return {
        "version": 1,
        "directory": str(directory),
        "results": [{"folder": str(o.job.folder), "kept": o.job.finished, **(o.summary or {})} for o in done],
        "failed": [{"path": str(o.job.path), "reason": o.reason} for o in failed],
    }
