"""A Ray actor that segments one video after another in a supervised process, which may die of any of them."""

import hashlib
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Any

from save_avs._process import Channel, Completed, Died, Limits, Raised, TimedOut, WorkerProcess
from save_avs._text import one_line
from save_avs.batch.model_package import ModelPackage
from save_avs.batch.storage import OutputFolder, Video, local_copy, version_of
from save_avs.errors import DataError, MediaError, SaveAvsError, UsageError

DONE = "done"  # status of a video with results
FRAME = ("index", "source_index", "time", "score", "counts")  # what a row says of each frame
# Statuses of failures that the video may not be to blame for: memory or the network may have been.
TRANSIENT = frozenset({"crashed", "system", "unreachable"})
_STATUS = {DataError: "unreachable", MediaError: "unreadable", UsageError: "missing"}
_ATTEMPTS = 2  # a process may die of something other than its video
_LIMITS = Limits(silence=600.0)  # seconds without progress after which a video counts as hanging
_EARLY_STOP = 10  # failures of one status, and nothing else, after which the run is stopped


@dataclass(frozen=True, kw_only=True)
class BatchSettings:
    """What every worker does with a video: options of ``load_model`` and ``segment``."""

    device: str = "auto"
    precision: str = "auto"
    runtime: str = "auto"
    fps: float | None = None
    threshold: float = 0.5
    outputs: tuple[str, ...] = ()  # files beside the tables: overlay, png, ...
    files: str = ""  # the folder, on any file system, that they go to


class VideoSegmenter:
    """Callable class for ``Dataset.map``: a row with ``path`` and ``location`` to a row of results."""

    def __init__(self, model: ModelPackage, settings: BatchSettings) -> None:
        self._worker: WorkerProcess[str, Video, dict[str, Any]] = WorkerProcess(
            _set_up, *model.unpack(), settings, start_attempts=_ATTEMPTS
        )
        self._failures: list[str] | None = []  # None after the first success

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        """Segment a video; a failure is a row too.

        Raises:
            SaveAvsError: the model does not load, or the first videos all fail alike.
        """
        video = Video(row["path"], row["location"])
        outcome = self._segment(video)
        if isinstance(outcome, dict):
            self._failures = None
            return outcome
        status, reason = outcome
        if self._failures is not None:
            self._failures.append(status)
            if self._failures == [status] * _EARLY_STOP:
                raise SaveAvsError(
                    f"The first {_EARLY_STOP} videos of a worker all failed ({reason}); stopped."
                )
        row = {"path": video.id, "version": version_of(video.location), "node": platform.node()}
        return row | {"status": status, "reason": reason, "frames": None}

    def _segment(self, video: Video) -> dict[str, Any] | tuple[str, str]:
        """Return the row of results, or the status and reason of a failure; a crash is tried once more."""
        reason = ""
        for _ in range(_ATTEMPTS):
            match self._worker.run(video, _LIMITS):
                case Completed(value=value):
                    return value
                case Raised(error=SaveAvsError() as error):
                    return _STATUS.get(type(error), "refused"), one_line(error)
                case Raised(error=OSError() as error):
                    return "system", one_line(error)
                case Raised(error=error):
                    reason = f"{type(error).__name__}: {one_line(error)}"
                case Died(reason=died):
                    reason = f"the worker {died}"
                case TimedOut(seconds=seconds):
                    reason = f"no progress for {seconds:g} s"
        return "crashed", f"{video.id}: {reason}, twice"


def folder_name(video_id: str) -> str:
    """Return a folder name for a video: recognizable, and unique."""
    stem = PurePosixPath(video_id.partition("?")[0]).stem
    readable = "".join(letter if letter.isalnum() or letter in "-_" else "_" for letter in stem[:40])
    return f"{readable}-{hashlib.sha256(video_id.encode()).hexdigest()[:16]}"


def _set_up(
    channel: Channel, model_name: str, base_weights: Path | None, settings: BatchSettings
) -> tuple[str, Callable[[Video], dict[str, Any]]]:
    """Load the model into this process, to run on one thread.

    One thread wherever it runs: how a sum is split decides its last bits.
    """
    import torch

    from save_avs.runtimes.loading import load_model

    torch.set_num_threads(1)
    model = load_model(
        model_name,
        device=settings.device,
        precision=settings.precision,
        runtime=settings.runtime,
        pretrained=base_weights,
    )
    return model.name, lambda video: _segment_video(model, settings, video, channel.heartbeat)


def _segment_video(
    model: Any, settings: BatchSettings, video: Video, on_progress: Callable[[], None]
) -> dict[str, Any]:
    from save_avs.inference.pipeline import segment

    started = time.perf_counter()
    with (
        local_copy(video, on_progress) as (file, version),
        TemporaryDirectory(prefix="save-avs-") as scratch,
    ):
        folder = Path(scratch) / "result" if settings.outputs else None
        try:
            result = segment(
                file,
                model=model,
                fps=settings.fps,
                threshold=settings.threshold,
                outputs=settings.outputs,
                directory=folder,
                on_progress=lambda _: on_progress(),
            )
        except (MediaError, UsageError) as error:  # their messages name the local copy
            raise type(error)(str(error).replace(str(file), video.id)) from error
        if folder is not None:
            OutputFolder(settings.files).upload(folder, folder_name(video.id))
    masks = result.video_masks
    counts = [code.decode("ascii") for code in masks.counts]
    columns = (masks.indices, masks.source_indices, masks.times, masks.scores, counts)
    return {
        "path": video.id,
        "version": version,
        "status": DONE,
        "model": f"{model.name}, {model.precision}, {model.runtime}",
        "width": masks.size[1],
        "height": masks.size[0],
        "fps": result.video.fps,
        "duration": result.video.duration,
        "warnings": [text.replace(str(file), video.id) for text in result.warnings],
        "files": folder_name(video.id) if settings.outputs else None,
        "node": platform.node(),
        "seconds": time.perf_counter() - started,
        "frames": [dict(zip(FRAME, row, strict=True)) for row in zip(*columns, strict=True)],
    }
