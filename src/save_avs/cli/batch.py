"""`save-avs batch`: many videos into Parquet tables, on this machine or a Ray cluster."""

import sys
import time
from contextlib import redirect_stdout
from typing import Annotated, Any

from typer import Argument, Option

from save_avs._text import json_document
from save_avs.cli._console import plural, print_block, print_info, print_line
from save_avs.cli._options import AsJson, Device, DryRun, Fps, ModelName, Precision, Runtime, Threshold
from save_avs.errors import MediaError, UsageError


def batch(
    inputs: Annotated[
        list[str] | None,
        Argument(metavar="INPUT", help="Video files, folders to search, glob patterns or URLs."),
    ] = None,
    output: Annotated[
        str, Option("--output", "-o", metavar="DIR|URL", help="Write the tables to DIR or URL.")
    ] = "runs/batch",
    manifest: Annotated[
        str | None,
        Option(metavar="FILE|URL", help="Read more inputs from a list: text, .jsonl, .csv or .parquet."),
    ] = None,
    model: ModelName = "save-small",
    fps: Fps = "native",
    threshold: Threshold = 0.5,
    save: Annotated[
        str,
        Option(metavar="LIST", help="Write files of each video too, of those that segment --save names."),
    ] = "",
    address: Annotated[
        str | None,
        Option(
            metavar="ADDRESS",
            envvar="RAY_ADDRESS",
            help="Join this Ray cluster instead of starting Ray on this machine.",
        ),
    ] = None,
    workers: Annotated[
        int | None, Option(metavar="N", show_default="one per CPU", help="Segment N videos at a time.")
    ] = None,
    gpus_per_worker: Annotated[
        float | None,
        Option(
            metavar="SHARE",
            show_default="1 where the cluster has GPUs",
            help="Give each worker this share of a GPU.",
        ),
    ] = None,
    precision: Precision = "auto",
    device: Device = "auto",
    runtime: Runtime = "auto",
    retry_failed: Annotated[
        bool, Option("--retry-failed", help="Try videos again that failed before.")
    ] = False,
    as_json: AsJson = False,
    dry_run: DryRun = False,
) -> int:
    """Segment many videos into Parquet tables of masks, one row per video.

    \b
    Examples:
      save-avs batch videos/ -o tables
      save-avs batch 's3://bucket/clips/*.mp4' -o s3://bucket/tables --fps 1
      save-avs batch --manifest clips.csv -o tables --save overlay,png
      save-avs batch --manifest clips.csv -o /shared/tables --address ray://head:10001

    Run the same command again to resume.
    """
    from save_avs.batch.inputs import find_videos
    from save_avs.batch.output import BatchOutput
    from save_avs.batch.run import plan_batch, result_settings, run_batch
    from save_avs.batch.segmenter import BatchSettings, ModelPackage
    from save_avs.inference.settings import SegmentationSettings, parse_fps, parse_outputs

    if workers is not None and workers < 1:
        raise UsageError(f"--workers must be 1 or more, not {workers}")
    segmentation = {"fps": parse_fps(fps), "threshold": threshold, "outputs": parse_outputs(save)}
    SegmentationSettings(**segmentation)  # checks them
    videos = find_videos(inputs or [], manifest)
    package = ModelPackage.find(model)
    target = BatchOutput(output)
    loading = {"device": device, "precision": precision, "runtime": runtime}
    settings = BatchSettings(loading, segmentation, target.url)
    target.check_settings(result_settings(package, settings))
    plan = plan_batch(videos, target, retry_failed=retry_failed)
    line = f"{len(plan.todo)} to do, {plan.done} done, {plan.failed} failed"
    if dry_run:
        counts = {"version": 1, "todo": len(plan.todo), "done": plan.done, "failed": plan.failed}
        print_block(json_document(counts)) if as_json else print_line(f"{target.url}: {line}")
        return 0
    print_info(line)
    started = time.monotonic()
    with redirect_stdout(sys.stderr):  # Ray prints what befalls its nodes
        run_batch(
            plan,
            target,
            package,
            settings,
            address=address,
            workers=workers,
            gpus_per_worker=gpus_per_worker,
            on_message=print_info,
        )
    return _report(target, [video.path for video in videos], time.monotonic() - started, as_json)


def _report(target: Any, paths: list[str], seconds: float, as_json: bool) -> int:
    """Print the results of these videos in the tables, and return the exit code."""
    from save_avs.batch.output import DONE_TABLE, FAILED_TABLE

    done = target.rows(DONE_TABLE, "version")
    wanted = set(paths)
    failed = [row for path, row in target.rows(FAILED_TABLE).items() if path in wanted]
    count = sum(path in done for path in paths)
    if as_json:
        report = {
            "version": 1,
            "directory": target.url,
            "videos": len(paths),
            "done": count,
            "failed": [{key: row[key] for key in ("path", "status", "reason")} for row in failed],
            "seconds": seconds,
        }
        print_block(json_document(report))
    else:
        for row in failed[:10]:
            print_line(f"failed: {row['reason']}", err=True)
        more = f", {len(failed)} failed (failed.parquet)" if failed else ""
        print_line(f"{target.url}: {count} of {plural(len(paths), 'video')} done{more}; {seconds:.0f} s")
    return MediaError.exit_code if failed else 0
