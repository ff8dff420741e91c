"""`save-avs segment`: masks of sounding objects in videos."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

from typer import Argument, Option

from save_avs._text import json_document
from save_avs.cli._console import plural, print_block, print_line
from save_avs.cli._options import (
    AsJson,
    Deinterlace,
    Device,
    DryRun,
    Fps,
    ModelName,
    Overwrite,
    Precision,
    Runtime,
    Threshold,
    ToneMap,
    output_folder,
)
from save_avs.errors import MediaError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from save_avs.inference.multiple_inputs import SegmentationOutcome
    from save_avs.inference.result_folders import ExistingPolicy, SegmentationJob
    from save_avs.inference.settings import SegmentationSettings
    from save_avs.video.container import Switch

DEFAULT_DIRECTORY = Path("runs/segment")
_objects, _overlay, _range = (
    partial(Option, rich_help_panel=panel) for panel in ("Objects", "Overlay", "Sound and range")
)


def segment(
    inputs: Annotated[
        list[str] | None,
        Argument(
            metavar="INPUT",
            help="Video files, folders of them, glob patterns, http(s) URLs, or - for stdin; or folders of "
            "images with their wav.",
        ),
    ] = None,
    output: Annotated[
        Path | None, output_folder(str(DEFAULT_DIRECTORY), "Folder for the results, in DIR/<stem>/.")
    ] = None,
    model: ModelName = "save-small",
    fps: Fps = "native",
    threshold: Threshold = 0.5,
    precision: Precision = "auto",
    device: Device = "auto",
    runtime: Runtime = "auto",
    save: Annotated[
        str,
        Option(
            metavar="LIST",
            help="Outputs, of overlay, matte, masks, timeline, frames, video, logits, png, coco, npz, cvat, "
            "labelstudio.",
        ),
    ] = "overlay,masks,timeline",
    smooth: Annotated[
        float, _objects(metavar="SECONDS", help="Time constant of smoothing over time; 0 for none.")
    ] = 0.0,
    objects: Annotated[
        bool, _objects("--objects", help="Separate each mask into objects, its connected parts.")
    ] = False,
    track: Annotated[
        bool, _objects("--track", help="Give the objects ids that persist; implies --objects.")
    ] = False,
    color: Annotated[str, _overlay(metavar="auto|CSS", help="Color of the mask in the overlay.")] = "auto",
    opacity: Annotated[float, _overlay(help="Opacity of that color, 0 to 1.")] = 0.5,
    outline: Annotated[
        float,
        _overlay(metavar="PERCENT", help="Width of its outline, percent of the shorter side; 0 for none."),
    ] = 0.42,
    labels: Annotated[
        bool, _overlay("--labels", help="Write name or id and score at each mask in the overlay.")
    ] = False,
    tone_map: ToneMap = "auto",
    deinterlace: Deinterlace = "auto",
    audio_track: Annotated[
        int | None, _range(metavar="N", show_default=False, help="Audio track to use, counted from 1.")
    ] = None,
    audio: Annotated[
        Path | None, _range(metavar="FILE", help="Use the sound of FILE instead; both start at time 0.")
    ] = None,
    normalize_audio: Annotated[
        bool, _range("--normalize-audio", help="Raise quiet sound to -20 dBFS, for the model only.")
    ] = False,
    start: Annotated[
        str, _range(metavar="TIME", help="Leave out frames before TIME: seconds or [HH:]MM:SS.")
    ] = "0",
    end: Annotated[str | None, _range(metavar="TIME", help="Leave out frames from TIME on.")] = None,
    overwrite: Overwrite = False,
    resume: Annotated[
        bool,
        Option("--resume", help="Keep finished results of the same files and options; process the rest."),
    ] = False,
    as_json: AsJson = False,
    dry_run: DryRun = False,
) -> int:
    """Segment sounding objects in videos: an overlay video, masks, a timeline and a summary of each.

    \b
    Examples:
      save-avs segment clip.mp4
      save-avs segment clip.mp4 -o out --overwrite
      save-avs segment videos/ 'more/**/*.webm' -o out --resume
      save-avs segment clip.mp4 --fps 5 --save masks,png
      save-avs segment clip.mp4 --save overlay,matte,coco
      save-avs segment clip.mp4 --track --labels --smooth 0.1
      save-avs segment clip.mp4 --json > report.json
      save-avs segment https://example.org/clip.mp4 -o out

    For very many videos, see the command batch.
    """
    from save_avs.inference.result_folders import find_inputs, plan_jobs
    from save_avs.inference.settings import SegmentationSettings, parse_fps, parse_outputs, parse_time

    settings = SegmentationSettings(
        fps=parse_fps(fps),
        threshold=threshold,
        outputs=parse_outputs(save),
        smooth=smooth,
        objects=objects,
        track=track,
        color=color,
        opacity=opacity,
        outline=outline,
        labels=labels,
        tone_map=cast("Switch", tone_map),
        deinterlace=cast("Switch", deinterlace),
        audio_track=audio_track,
        audio=None if audio is None else str(audio),
        normalize_audio=normalize_audio,
        start=parse_time(start),
        end=None if end is None else parse_time(end),
    )
    if not inputs:
        raise UsageError(
            "Missing argument INPUT: name a video file, a folder or a pattern such as 'clips/*.mp4'"
        )
    directory = output or DEFAULT_DIRECTORY
    existing = _existing_policy(overwrite, resume, named=output is not None)
    found = find_inputs(inputs, settings.audio)
    settings.check_number_of_inputs(len(found))
    jobs = plan_jobs(found, directory, existing)
    if dry_run:
        _print_plan(jobs, settings, existing, as_json)
        return 0

    from save_avs.cli._models import load_and_announce

    network = load_and_announce(model, device=device, precision=precision, runtime=runtime)  # imports torch

    from save_avs.cli._progress import VideoProgress
    from save_avs.inference.multiple_inputs import segment_jobs

    outcomes: list[SegmentationOutcome] = []
    for outcome in segment_jobs(
        jobs,
        directory,
        settings,
        model=network,
        display=lambda job: VideoProgress(job.path.name),
        existing=existing,
    ):
        outcomes.append(outcome)
        _print_outcome(outcome, as_json)
    if as_json:
        print_block(json_document(_report(outcomes, directory)))
    return MediaError.exit_code if any(outcome.summary is None for outcome in outcomes) else 0


def _existing_policy(overwrite: bool, resume: bool, *, named: bool) -> ExistingPolicy:
    from save_avs.inference.result_folders import ExistingPolicy

    if overwrite and resume:
        raise UsageError("--overwrite and --resume exclude each other; choose one")
    if overwrite:
        return ExistingPolicy.OVERWRITE
    if resume:
        return ExistingPolicy.RESUME
    return ExistingPolicy.REFUSE if named else ExistingPolicy.NEXT_FREE


def _print_plan(
    jobs: Sequence[SegmentationJob], settings: SegmentationSettings, existing: ExistingPolicy, as_json: bool
) -> None:
    """Print what --dry-run finds; models are not compared, since none is loaded."""
    from save_avs.inference.result_folders import ExistingPolicy, find_staleness

    planned = []
    for job in jobs:
        known = existing is ExistingPolicy.RESUME and job.folder.exists()
        if not isinstance(job.path, Path):
            stale = "compared once it is fetched" if known else ""
        elif not os.access(job.path, os.R_OK):
            stale = "cannot be read: change its permissions"
        else:
            reason = find_staleness(job.folder, job.path, settings, {}) if known else ""
            stale = f"again: {reason}" if reason else ""
        entry = {"path": str(job.path), "folder": str(job.folder), "finished": known and not stale}
        planned.append(entry)
        if not as_json:
            state = " (finished)" if entry["finished"] else f" ({stale})" if stale else ""
            print_line(f"{job.path} -> {job.folder}{state}")
    if as_json:
        print_block(json_document({"version": 1, "planned": planned}))


def _print_outcome(outcome: SegmentationOutcome, as_json: bool) -> None:
    job, summary = outcome.job, outcome.summary
    if summary is None:
        print_line(f"failed: {outcome.reason}", err=True)
    elif outcome.kept:
        print_line(f"{job.path} -> {job.folder} (finished before, kept)", err=as_json)
    else:
        frames, fps = plural(summary["frames"], "frame"), summary["frames_per_second"]
        print_line(
            f"{job.path} -> {job.folder} ({frames} in {summary['seconds']:.1f} s, {fps:.1f} fps; "
            f"{summary['marked_frames']} with a mask)",
            err=as_json,
        )


def _report(outcomes: list[SegmentationOutcome], directory: Path) -> dict[str, Any]:
    """Return the document that --json prints."""
    results = [
        {"folder": str(outcome.job.folder), "kept": outcome.kept, **outcome.summary}
        for outcome in outcomes
        if outcome.summary is not None
    ]
    failed = [
        {"path": str(outcome.job.path), "reason": outcome.reason}
        for outcome in outcomes
        if outcome.summary is None
    ]
    return {"version": 1, "directory": str(directory), "results": results, "failed": failed}
