"""The worker process: loads its models once, then segments one video after another.

Videos are decoded here and nowhere else: files from anywhere crash decoders, fill memory and never end.
"""

from __future__ import annotations

import json
import logging
import os
import time
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from save_avs._files import atomic_write
from save_avs._process import Channel
from save_avs._text import json_document, print_traceback
from save_avs.errors import MediaError, SaveAvsError
from save_avs.inference.settings import SUMMARY_FILE
from save_avs.serving.config import ServiceLimits, WorkerConfig
from save_avs.serving.job import JobError, JobFailedError, JobOptions, JobProgress, JobRecord, PromptOptions
from save_avs.serving.job_files import ARCHIVE, FRAMES, MASK, WAVEFORM, result_folder, video_folder
from save_avs.serving.logs import log, use_json

if TYPE_CHECKING:
    from save_avs.inference.segment_options import FrameProgress

_PROGRESS_INTERVAL = 0.2  # seconds

ModelFacts = Mapping[str, Any]  # name, image_size, device, precision, runtime, about, sounds
JobTask = tuple[JobRecord, Path]  # a job and its folder


def set_up(
    channel: Channel, config: WorkerConfig
) -> tuple[tuple[ModelFacts, ...], Callable[[JobTask], JobError | None]]:
    """Load the models; return what each is called and how it runs, and the function that does a job."""
    import torch

    from save_avs.inference.predictor import describe_model
    from save_avs.models.serialization import read_card, read_config
    from save_avs.runtimes.loading import find_model_folder, load_model, load_prompt_model

    if config.json_logs:
        use_json()
    torch.set_num_threads(max(1, (os.cpu_count() or 1) // config.limits.workers))
    options = {"device": config.device, "precision": config.precision, "runtime": config.runtime}
    models = [load_model(name, **options) for name in config.models]
    by_name = {model.name: model for model in models}
    folders = [find_model_folder(name) for name in config.models]
    facts = tuple(
        {**describe_model(model), "about": read_card(folder), "sounds": list(read_config(folder).classes)}
        for model, folder in zip(models, folders, strict=True)
    )
    sam = config.prompt_model and load_prompt_model(config.prompt_model, device=config.device)
    return facts, lambda task: _attempt(lambda: _do(channel, config, by_name, sam, *task))


def _attempt(run: Callable[[], None]) -> JobError | None:
    """Run a job; return the error for its owner, or None."""
    try:
        run()
        return None
    except JobFailedError as error:
        code, text = error.code, str(error)
    except MediaError as error:
        code, text = "unreadable", str(error)
    except SaveAvsError as error:
        code, text = "refused", str(error)
    except MemoryError:
        code, text = "memory", "The video needs more memory than this server has."
    except OSError as error:
        code, text = "system", f"The server could not write: {error.strerror or error}."
    except Exception as error:
        if logging.root.handlers:  # JSON
            log.exception("a job failed unexpectedly")
        else:
            print_traceback(error)
        code, text = "internal", "The program failed on this video: see the server's log."
    return JobError(code=code, message=text)


def _do(
    channel: Channel,
    config: WorkerConfig,
    models: Mapping[str, Any],
    sam: Any,
    job: JobRecord,
    folder: Path,
) -> None:
    limits, source, results = config.limits, video_folder(folder, job), result_folder(folder, job)
    if job.url is not None:
        from save_avs.serving.url_fetch import fetch

        channel.send(JobProgress(phase="fetching"))
        source.mkdir()
        fetch(job.url, source / job.name, hosts=config.hosts, size=limits.size, time=limits.time)
    os.chdir(source)  # results name the video as its sender did, not by its path on the server
    channel.send(JobProgress(phase="opening"))
    _check(job, limits)
    if isinstance(job.options, PromptOptions):
        _mask(channel, sam, job, job.options, results)
    else:
        _segment(channel, limits, models[str(job.options.model)], job, job.options, results)


def _mask(channel: Channel, sam: Any, job: JobRecord, options: PromptOptions, results: Path) -> None:
    """Segment what a prompt shows in an image."""
    from PIL import Image

    from save_avs.inference.frame_folder import read_image
    from save_avs.models.prompting import segment_prompt

    channel.send(JobProgress(phase="masking"))
    found = segment_prompt(sam, read_image(job.name), points=options.point, box=options.box)
    results.mkdir()
    Image.fromarray(found.mask).convert("L").save(results / MASK)
    facts = {"iou": found.iou, "marked_area": float(found.mask.mean()), "model": {"name": options.model}}
    atomic_write(results / SUMMARY_FILE, json_document({"source": job.name, **facts}))


def _segment(
    channel: Channel, limits: ServiceLimits, model: Any, job: JobRecord, options: JobOptions, results: Path
) -> None:
    from save_avs.inference.pipeline import segment

    result = segment(
        FRAMES if job.frames else Path(job.name),
        audio=job.name if job.frames else None,
        model=model,
        fps=None if options.fps == "native" else options.fps,
        threshold=options.threshold,
        smooth=options.smooth,
        objects=options.objects,
        track=options.track,
        outputs=tuple(options.save),
        directory=results,
        overwrite=True,
        on_progress=_progress_reporter(channel, limits),
        on_warning=channel.send,
    )
    atomic_write(results / SUMMARY_FILE, json_document({**result.summary(), "source": job.name}))
    # The outline of the sound: the lowest and highest sample around each time.
    columns = zip(("times", "low", "high"), result.envelope.curve(), strict=True)
    outline = {name: column.astype(float).round(4).tolist() for name, column in columns}
    (results / WAVEFORM).write_text(json.dumps(outline))
    if "png" in options.save:
        channel.send(JobProgress(phase="packing", fraction=1.0, frames=len(result.video_masks)))
        _pack(results)


def _check(job: JobRecord, limits: ServiceLimits) -> None:
    """Refuse what the headers already show to be beyond the limits.

    Raises:
        JobFailedError: too large a frame, or too long.
        MediaError: a file cannot be read.
    """
    from save_avs.inference.frame_folder import find_images, read_image_size
    from save_avs.video import probe
    from save_avs.video.probe import header_duration

    duration = None
    if isinstance(job.options, PromptOptions):
        sizes = {read_image_size(job.name): Path(job.name)}
    elif job.frames:
        sizes = {read_image_size(path): path for path in find_images(Path(FRAMES))}
        duration = header_duration(Path(job.name))
    else:
        info = probe(job.name)
        sizes, duration = {(info.width, info.height): Path(job.name)}, info.duration
    for (width, height), path in sizes.items():
        if max(width, height) > limits.side:
            raise JobFailedError(
                "frame_too_large",
                f"{path} has {width} x {height} pixels, more than this server's limit of {limits.side} per "
                "side: scale it down.",
            )
    if duration is not None:
        _check_duration(duration, limits)


def _check_duration(seconds: float, limits: ServiceLimits) -> None:
    if seconds > limits.duration:
        raise JobFailedError(
            "too_long",
            f"The video is at least {seconds:.1f} s long, more than this server's limit of "
            f"{limits.duration:g} s: cut it into parts.",
        )


def _progress_reporter(channel: Channel, limits: ServiceLimits) -> Callable[[FrameProgress], None]:
    """Report progress a few times per second, and stop videos that are longer than their header says."""
    fields = JobProgress.model_fields.keys() - {"phase"}
    last = 0.0

    def report(progress: FrameProgress) -> None:
        nonlocal last
        _check_duration(progress.time, limits)
        if time.monotonic() >= last + _PROGRESS_INTERVAL:
            last = time.monotonic()
            values = {name: getattr(progress, name) for name in fields}
            channel.send(JobProgress(phase="segmenting", **values))

    return report


def _pack(result: Path) -> None:
    """Move the PNG masks of a result into one archive, stored: they are compressed already."""
    from save_avs._files import atomic_path

    folder = result / "masks"
    with atomic_path(result / ARCHIVE) as part, zipfile.ZipFile(part, "w", zipfile.ZIP_STORED) as archive:
        for mask in sorted(folder.iterdir()):
            archive.write(mask, f"masks/{mask.name}")
            mask.unlink()
    folder.rmdir()
