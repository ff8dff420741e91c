"""A Ray actor that segments one video after another in a supervised process, which may die of any of them."""

import hashlib
import platform
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Any, Self

from save_avs._files import atomic_write
from save_avs._process import Channel, Completed, Died, Limits, Raised, TimedOut, WorkerProcess
from save_avs._text import one_line
from save_avs.batch.inputs import Video, local_copy, version_of
from save_avs.batch.output import DONE, FILES, FRAME, BatchOutput, OutputError
from save_avs.errors import DataError, MediaError, SaveAvsError, UsageError
from save_avs.models.serialization import CONFIG, WEIGHTS, read_config
from save_avs.runtimes.loading import find_model_folder, load_model
from save_avs.weights.cache import cache_dir, find_weights
from save_avs.weights.identity import sha256_of

# Statuses of failures that memory, the network or a full disk may be to blame for, not the video.
TRANSIENT = frozenset({"crashed", "system", "unreachable"})
_STATUS = {DataError: "unreachable", MediaError: "unreadable", UsageError: "missing", OutputError: "system"}
_ATTEMPTS = 2  # a process may die of something other than its video
_LIMITS = Limits(silence=600.0)  # seconds without progress after which a video counts as hanging
_EARLY_STOP = 10  # failures of one status, and nothing else, after which the run is stopped
_BASE = "base"  # subfolder of the weights that a model builds on


@dataclass(frozen=True)
class ModelPackage:
    """A model to load anywhere."""

    name: str  # its folder here; unused where ``files`` holds the content
    sha256: str  # of the trained weights: what results of a run have in common
    files: Any = None  # contents by relative path, in Ray's object store; None where ``name`` is enough

    @classmethod
    def find(cls, name: str) -> Self:
        """Find a model on this machine."""
        folder = find_model_folder(name)
        return cls(str(folder.absolute()), sha256_of(folder / WEIGHTS))

    def with_content(self) -> Self:
        """Put the model's files, and the base weights that it needs, into Ray's object store once."""
        import ray

        folder = Path(self.name)
        base = {f"{_BASE}/{ref.name}": find_weights(ref) for _, ref in read_config(folder).pretrained if ref}
        paths = {name: folder / name for name in (CONFIG, WEIGHTS)} | base
        return replace(self, files=ray.put({name: path.read_bytes() for name, path in paths.items()}))

    def unpack(self) -> tuple[str, Path | None]:
        """Return what ``load_model`` takes on this machine: a folder, and a folder of base weights.

        Content goes into this machine's cache, once; what is there is compared by its sha256.
        """
        if self.files is None:
            return self.name, None
        import ray

        folder = cache_dir() / "batch" / self.sha256
        files: dict[str, bytes] = ray.get(self.files)
        for name, content in files.items():
            target = folder / name
            if not target.is_file() or sha256_of(target) != hashlib.sha256(content).hexdigest():
                atomic_write(target, content)
        return str(folder), folder / _BASE


@dataclass(frozen=True)
class BatchSettings:
    """What every worker does with a video."""

    loading: Mapping[str, Any]  # options of ``load_model``: device, precision, runtime
    segmentation: Mapping[str, Any]  # options of ``segment``; outputs are files beside the tables
    output: str  # URL or path of the output


class VideoSegmenter:
    """Callable class for ``Dataset.map_batches``: writes the results of a batch of videos."""

    def __init__(self, model: ModelPackage, settings: BatchSettings) -> None:
        self._worker: WorkerProcess[str, Video, dict[str, Any]] = WorkerProcess(
            _set_up, *model.unpack(), settings, start_attempts=_ATTEMPTS
        )
        self._output = BatchOutput(settings.output)
        self._first: tuple[str, ...] = ()  # statuses of the first videos

    def __call__(self, batch: Any) -> dict[str, list[int]]:
        """Segment a pyarrow.Table of ``path`` and ``location``, add rows to the output and count them.

        Raises:
            SaveAvsError: the model does not load, the first videos all fail alike, or rows cannot be written.
        """
        rows = [self._segment(Video(**row)) for row in batch.to_pylist()]
        self._output.append(rows)
        return {"videos": [len(rows)]}

    def _segment(self, video: Video) -> dict[str, Any]:
        """Return the row of results or of a failure."""
        row = self._attempt(video)
        self._first = (*self._first, row["status"])[:_EARLY_STOP]
        if row["status"] != DONE and self._first == (row["status"],) * _EARLY_STOP:
            first = f"The first {_EARLY_STOP} videos of a worker"
            raise SaveAvsError(f"{first} all failed ({row['reason']}); stopped.")
        return row

    def _attempt(self, video: Video) -> dict[str, Any]:
        """Have the process segment a video; what kills it or hangs is tried once more."""
        reason = ""
        for _ in range(_ATTEMPTS):
            match self._worker.run(video, _LIMITS):
                case Completed(value=value):
                    return value
                case Raised(error=SaveAvsError() as error):
                    return _failure(video, _STATUS.get(type(error), "refused"), one_line(error))
                case Raised(error=OSError() as error):
                    return _failure(video, "system", one_line(error))
                case Raised(error=error):
                    reason = f"{type(error).__name__}: {one_line(error)}"
                case Died(reason=died):
                    reason = f"the worker {died}"
                case TimedOut(seconds=seconds):
                    reason = f"no progress for {seconds:g} s"
        return _failure(video, "crashed", f"{video.path}: {reason}, twice")


def _failure(video: Video, status: str, reason: str) -> dict[str, Any]:
    row = {"path": video.path, "version": version_of(video.location), "node": platform.node()}
    return row | {"status": status, "reason": reason}


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

    torch.set_num_threads(1)
    model = load_model(model_name, pretrained=base_weights, **settings.loading)
    return model.name, lambda video: _segment_video(model, settings, video, lambda *_: channel.send(None))


def _segment_video(
    model: Any, settings: BatchSettings, video: Video, on_progress: Callable[..., None]
) -> dict[str, Any]:
    from save_avs.inference.pipeline import segment

    started = time.perf_counter()
    name = folder_name(video.path) if settings.segmentation["outputs"] else None
    with (
        local_copy(video, on_progress) as (file, version),
        TemporaryDirectory(prefix="save-avs-") as scratch,
    ):
        folder = Path(scratch) / name if name else None
        options = {"directory": folder, "on_progress": on_progress, **settings.segmentation}
        try:
            result = segment(file, model=model, **options)
        except (MediaError, UsageError) as error:  # their messages name the local copy
            raise type(error)(str(error).replace(str(file), video.path)) from error
        if folder is not None:
            BatchOutput(settings.output).upload(folder, f"{FILES}/{name}")
    masks = result.video_masks
    counts = [code.decode("ascii") for code in masks.counts]
    columns = (masks.indices, masks.source_indices, masks.times, masks.scores, counts)
    return {
        "path": video.path,
        "version": version,
        "status": DONE,
        "model": f"{model.name}, {model.precision}, {model.runtime}",
        "width": masks.size[1],
        "height": masks.size[0],
        "fps": result.video.fps,
        "duration": result.video.duration,
        "warnings": [text.replace(str(file), video.path) for text in result.warnings],
        "files": name,
        "node": platform.node(),
        "seconds": time.perf_counter() - started,
        "frames": [dict(zip(FRAME, row, strict=True)) for row in zip(*columns, strict=True)],
    }
