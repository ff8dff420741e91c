"""A video in, masks out: decoding, model and writing overlap, and memory stays bounded."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from save_avs._files import atomic_folder
from save_avs.errors import MediaError
from save_avs.inference.predictor import FrameModel, Prediction, Predictor
from save_avs.inference.prefetch import Prefetcher
from save_avs.inference.result import SegmentationResult
from save_avs.inference.settings import DEFAULT_OUTPUTS, SegmentationSettings
from save_avs.inference.sources import FileSource, VideoSource
from save_avs.inference.video_outputs import VideoOutputs, open_video_outputs
from save_avs.models import load_model
from save_avs.visualization import Thumbnails, VideoMasksBuilder, WaveformEnvelope, draw_mask

_CHUNK_BYTES = 1 << 24  # frames of a chunk; about five chunks are alive at once
_CHUNK_FRAMES = 4  # however large they are: of fewer at once, each would cost the model more


@dataclass(frozen=True)
class FrameProgress:
    """How far a video is.

    Attributes:
        frames: processed by now.
        time: of the last of them, seconds.
        duration: of the video, None when the file does not say.
        elapsed: seconds since the start.
    """

    frames: int
    time: float
    duration: float | None
    elapsed: float

    @property
    def fraction(self) -> float | None:
        """Share of the video that is done, 0..1."""
        return min(1.0, self.time / self.duration) if self.duration else None

    @property
    def rate(self) -> float:
        """Frames a second."""
        return self.frames / max(self.elapsed, 1e-9)

    @property
    def left(self) -> float | None:
        """Seconds it will still take, at the speed so far."""
        return self.elapsed * (1 / self.fraction - 1) if self.fraction else None


def segment(
    path: str | Path,
    *,
    model: FrameModel | str | Path = "save-tiny",
    fps: float | None = None,
    threshold: float = 0.5,
    outputs: tuple[str, ...] = DEFAULT_OUTPUTS,
    batch: int = 16,
    directory: str | Path | None = None,
    overwrite: bool = False,
    on_progress: Callable[[FrameProgress], None] | None = None,
    on_warning: Callable[[str], None] | None = None,
) -> SegmentationResult:
    """Mark, in every frame of a video, the pixels of the things that sound.

    Args:
        path: any file that FFmpeg reads.
        model: from ``load_model``, or its name or folder.
        fps: frames a second to process; None for every frame.
        threshold: pixels of a higher probability are marked.
        outputs: what ``directory``, or a later ``save``, will hold: names of ``OUTPUTS``.
        batch: frames the model sees at once.
        directory: a new folder to write to while it runs; it appears when all is done. Without it nothing is
            written; the result's ``save`` does the same later and reads the video twice.
        overwrite: replace ``directory`` when it exists.
        on_progress: called after each chunk.
        on_warning: called with one line for each thing worth knowing (no sound, a damaged file).

    Raises:
        UsageError: wrong options, no such file or model, or ``directory`` exists.
        MediaError: the file cannot be read as video.

    Examples:
        >>> import save_avs
        >>> result = save_avs.segment("clip.mp4", model="save-tiny", fps=2)
        >>> len(result.video_masks), result.masks.shape
        (16, (16, 360, 640))
        >>> folder = result.save("results/clip")
        >>> sorted(file.name for file in folder.iterdir())
        ['masks.json', 'overlay.mp4', 'summary.json', 'timeline.png']
    """
    settings = SegmentationSettings(fps=fps, threshold=threshold, outputs=outputs, batch=batch)
    predictor = _predictor(model, settings)
    if directory is None:
        run = _Run(FileSource(Path(path)), settings, on_progress, on_warning)
        return run.through(predictor)
    with atomic_folder(Path(directory), overwrite=overwrite) as folder:
        run = _Run(FileSource(Path(path)), settings, on_progress, on_warning, folder)
        result = run.through(predictor)
        result.write_records(folder)
    return result


def segment_source(
    video_source: VideoSource, model: FrameModel | str | Path, settings: SegmentationSettings
) -> SegmentationResult:
    """Mark what sounds in any footage, as ``segment`` does in a file; nothing is written."""
    return _Run(video_source, settings).through(_predictor(model, settings))


def _predictor(model: FrameModel | str | Path, settings: SegmentationSettings) -> Predictor:
    network = load_model(model) if isinstance(model, str | Path) else model
    return Predictor(network, settings.threshold, settings.batch)


class _Run:
    """One video on its way through: what is collected, and where the frames are written."""

    def __init__(
        self,
        video_source: VideoSource,
        settings: SegmentationSettings,
        on_progress: Callable[[FrameProgress], None] | None = None,
        on_warning: Callable[[str], None] | None = None,
        folder: Path | None = None,
    ) -> None:
        self._started = time.perf_counter()
        self._footage, self._video = video_source, video_source.video
        self._settings = settings
        self._folder = folder
        self._on_progress = on_progress
        self._on_warning = on_warning
        self._warnings: list[str] = []
        self._told = 0
        self._builder = VideoMasksBuilder((self._video.height, self._video.width))
        self._envelope = WaveformEnvelope()
        self._thumbnails = Thumbnails()

    def through(self, predictor: Predictor) -> SegmentationResult:
        """Read, predict and write, each in a thread of its own; the writing in the caller's."""
        video, settings = self._video, self._settings
        fitting = _CHUNK_BYTES // (3 * video.width * video.height)
        chunk = min(settings.batch, max(_CHUNK_FRAMES, fitting))
        clips = self._footage.clips(
            fps=settings.fps,
            chunk=chunk,
            sample_rate=predictor.model.frontend.sample_rate,
            on_warning=self._warnings.append,
        )
        with ExitStack() as stack:
            video_outputs = stack.enter_context(open_video_outputs(self._folder, self._footage, settings))
            ready = stack.enter_context(Prefetcher(clips))
            predictions = stack.enter_context(Prefetcher(predictor(ready)))
            frames = 0
            for prediction in predictions:
                self._take(prediction, video_outputs)
                frames += len(prediction.clip)
                self._report(frames, float(prediction.clip.times[-1]))
            self._tell()
            if not frames:  # said before the films end, which cannot be empty
                raise MediaError(f"{video.path}: no picture in it can be decoded")
        return SegmentationResult(
            video_source=self._footage,
            video_masks=self._builder.video_masks(),
            model=describe_model(predictor.model),
            settings=settings,
            warnings=tuple(self._warnings),
            seconds=self._elapsed(),
            envelope=self._envelope,
            thumbnails=self._thumbnails,
        )

    def _take(self, prediction: Prediction, video_outputs: VideoOutputs) -> None:
        clip = prediction.clip
        self._envelope.add(clip.waveform, clip.waveform_start, clip.sample_rate)
        for i, (frame, moment) in enumerate(zip(clip.frames, clip.times.tolist(), strict=True)):
            mask, index = prediction.masks[i], clip.first_index + i
            self._builder.add(mask, index=index, time=moment, score=float(prediction.scores[i]))
            marked = draw_mask(frame, mask) if video_outputs.overlay or self._thumbnails.wants() else frame
            self._thumbnails.add(moment, marked)
            video_outputs.write(frame, mask, moment, marked=marked)

    def _report(self, frames: int, moment: float) -> None:
        self._tell()
        if self._on_progress is not None:
            self._on_progress(FrameProgress(frames, moment, self._video.duration, self._elapsed()))

    def _tell(self) -> None:
        """Pass on new warnings from the caller's thread: the reader's may not print."""
        new = self._warnings[self._told :]
        self._told += len(new)
        if self._on_warning is not None:
            for text in new:
                self._on_warning(text)

    def _elapsed(self) -> float:
        return time.perf_counter() - self._started


def describe_model(model: FrameModel) -> Mapping[str, Any]:
    """Name a model as the written files do."""
    return {
        "name": model.name,
        "device": str(model.device),
        "precision": model.precision,
        "runtime": model.runtime,
        "image_size": model.image_size,
        "resize": model.resize,
    }
