"""Segmentation of a whole video: reading, model and writing overlap, and memory stays bounded."""

import logging
import os
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Unpack, overload

from numpy.typing import ArrayLike

from save_avs._files import atomic_folder
from save_avs.errors import MediaError, UsageError
from save_avs.inference.arrays import make_chunk
from save_avs.inference.audio_events import ClassListener
from save_avs.inference.predictor import FrameModel, Prediction, Predictor, describe_model
from save_avs.inference.prefetch import Prefetcher
from save_avs.inference.result import SegmentationResult
from save_avs.inference.result_folders import ExistingPolicy, plan_jobs
from save_avs.inference.segment_options import FrameProgress, SegmentOptions, VideoPath
from save_avs.inference.settings import DEFAULT_OUTPUTS, SegmentationSettings
from save_avs.inference.sources import VideoSource, array_source, open_source
from save_avs.inference.spooled_input import SpooledInput, open_input
from save_avs.inference.video_outputs import VideoOutputs, open_video_outputs
from save_avs.runtimes import load_model
from save_avs.types import VideoMasksBuilder
from save_avs.video.container import Switch
from save_avs.video.frame_decoder import ReadReport
from save_avs.visualization.overlay import OUTLINE
from save_avs.visualization.timeline import Thumbnails, WaveformEnvelope

_logger = logging.getLogger(__name__)
_CHUNK_BYTES = 1 << 24  # of the frames of a chunk; about five chunks are in memory at once
_MIN_CHUNK_FRAMES = 4  # however large the frames: smaller batches cost the model more per frame


@overload
def segment(  # pyright: ignore[reportOverlappingOverload], a str is also an iterable of str
    path: VideoPath, **options: Unpack[SegmentOptions]
) -> SegmentationResult: ...
@overload
def segment(path: Iterable[VideoPath], **options: Unpack[SegmentOptions]) -> list[SegmentationResult]: ...
def segment(  # noqa: PLR0913, the options of `save-avs segment`
    path: VideoPath | Iterable[VideoPath],
    *,
    model: FrameModel | str | Path = "save-small",
    fps: float | None = None,
    threshold: float = 0.5,
    outputs: tuple[str, ...] = DEFAULT_OUTPUTS,
    batch_size: int = 16,
    smooth: float = 0.0,
    objects: bool = False,
    track: bool = False,
    color: str = "auto",
    opacity: float = 0.5,
    outline: float = OUTLINE,
    labels: bool = False,
    tone_map: Switch = "auto",
    deinterlace: Switch = "auto",
    audio_track: int | None = None,
    audio: str | os.PathLike[str] | None = None,
    normalize_audio: bool = False,
    start: float = 0.0,
    end: float | None = None,
    directory: str | Path | None = None,
    overwrite: bool = False,
    on_progress: Callable[[FrameProgress], None] | None = None,
    on_warning: Callable[[str], None] | None = None,
) -> SegmentationResult | list[SegmentationResult]:
    """Segment the sounding objects in every frame of a video, or of several videos.

    Args:
        path: any file that FFmpeg reads; a URL (``https://``, ``http://``) or a file object open for reading
            bytes, which is copied to a temporary file; or several, for a list of results.
        model: from ``load_model``, or its name or folder.
        fps: frames to process per second; None for every frame.
        threshold: pixels of a higher probability are marked.
        outputs: what ``directory``, or a later ``save``, will contain: names out of ``OUTPUTS``.
        batch_size: frames per forward pass of the model.
        smooth: time constant in seconds of the smoothing of the logits over time; 0 for none.
        objects: also separate each mask into objects, its connected parts: ``result[i].objects``.
        track: give the objects ids that persist over time; implies ``objects``.
        color: of the mask in the overlay: a CSS color, or ``auto`` for one that contrasts with the object.
        opacity: of that color, 0 to 1.
        outline: width of the line along its edge, percent of the frame's shorter side; 0 for none.
        labels: write score and name or id at each mask in the overlay; ids are written without it, too.
        tone_map: ``auto`` maps HDR and BT.2020 to BT.709; ``off`` takes their codes as they are.
        deinterlace: ``auto`` deinterlaces the frames that are marked as interlaced; or ``off``.
        audio_track: the audio track to use, counted from 1; None for the one that players choose.
        audio: another file whose sound to use instead, its time 0 at that of the video.
        normalize_audio: raise the level of the whole sound to -20 dBFS where it is below, for the model only:
            the mean power of its blocks of 0.4 s within 20 dB of the loudest.
        start: frames before this time, in seconds, are left out; the others keep times and source indices.
        end: so are frames from this time on; None for the end of the video.
        directory: a new folder to write to while the video is processed; it appears when all is done. Without
            it nothing is written; the result's ``save`` does the same later and reads the video twice. For
            several videos: the folder of their folders, ``<stem>`` each.
        overwrite: replace ``directory``, or the folders of several videos in it, if it exists.
        on_progress: called after each chunk.
        on_warning: called with each warning, one line (no sound, a damaged file); warnings also go to the
            logger ``save_avs``.

    Raises:
        UsageError: wrong options, no such file or model, or ``directory`` exists.
        MediaError: a file cannot be read as video, or has no such audio track.

    Examples:
        >>> import save_avs
        >>> result = save_avs.segment("clip.mp4", model="save-small", fps=2)
        >>> len(result), result.masks.shape
        (16, (16, 360, 640))
        >>> folder = result.save("results/clip")
        >>> sorted(file.name for file in folder.iterdir())
        ['masks.json', 'overlay.mp4', 'summary.json', 'timeline.png']
        >>> [len(result) for result in save_avs.segment(["clip.mp4", "clip.mp4"], fps=1)]
        [8, 8]
    """
    settings = SegmentationSettings(
        fps=fps,
        threshold=threshold,
        outputs=outputs,
        batch_size=batch_size,
        smooth=smooth,
        objects=objects,
        track=track,
        color=color,
        opacity=opacity,
        outline=outline,
        labels=labels,
        tone_map=tone_map,
        deinterlace=deinterlace,
        audio_track=audio_track,
        audio=None if audio is None else os.fspath(audio),
        normalize_audio=normalize_audio,
        start=start,
        end=end,
    )
    several = not (isinstance(path, str | os.PathLike | SpooledInput) or hasattr(path, "read"))
    inputs: Any = path if several else [path]
    paths = [open_input(each) for each in inputs]
    settings.check_number_of_inputs(len(paths))
    folders: Sequence[Path | None] = [None] * len(paths)
    if directory is not None:
        existing = ExistingPolicy.OVERWRITE if overwrite else ExistingPolicy.REFUSE
        jobs = plan_jobs(paths, Path(directory), existing) if several else []
        folders = [job.folder for job in jobs] if several else [Path(directory)]
    predictor = _build_predictor(model, settings)
    results: list[SegmentationResult] = []
    for file, folder in zip(paths, folders, strict=True):
        with ExitStack() as stack:
            partial = folder and stack.enter_context(atomic_folder(folder, overwrite=overwrite))
            source = open_source(file, settings)
            result = _Pipeline(source, settings, on_progress, on_warning, partial).run(predictor)
            if partial is not None:
                result.write_records(partial)
        results.append(result)
    return results if several else results[0]


def segment_arrays(  # noqa: PLR0913, as `segment`
    frames: ArrayLike,
    waveform: ArrayLike | None = None,
    *,
    fps: float | None = None,
    times: ArrayLike | None = None,
    sample_rate: int = 16000,
    model: FrameModel | str | Path = "save-small",
    threshold: float = 0.5,
    batch_size: int = 16,
    smooth: float = 0.0,
    objects: bool = False,
    track: bool = False,
    normalize_audio: bool = False,
    start: float = 0.0,
    end: float | None = None,
    outputs: tuple[str, ...] = DEFAULT_OUTPUTS,
    name: str = "arrays",
) -> SegmentationResult:
    """Segment the sounding objects in frames in memory.

    Args:
        frames: RGB [T,H,W,3] or [T,3,H,W], at least one: an array, a tensor or a list of frames; 0..255, or
            floats in 0..1.
        waveform: sound from time 0 on, [S], [S,C] or [C,S]: floats in -1..1, or integers over the range of
            their type; channels are averaged. None for no sound.
        fps: frames per second; or else ``times``.
        times: of each frame, seconds [T], increasing.
        sample_rate: of ``waveform``, Hz.
        model: from ``load_model``, or its name or folder.
        threshold: pixels of a higher probability are marked.
        batch_size: frames per forward pass of the model.
        smooth: time constant in seconds of the smoothing of the logits over time; 0 for none.
        objects: also separate each mask into objects.
        track: give the objects ids that persist over time; implies ``objects``.
        normalize_audio: raise the level of the sound to -20 dBFS where it is below, as ``segment`` does.
        start: frames before this time, in seconds, are left out.
        end: so are frames from this time on; None for all.
        outputs: what the result's ``save`` will write: names out of ``OUTPUTS``.
        name: what its files call it.

    Raises:
        UsageError: wrong options, no such model, neither or both of ``fps`` and ``times``, or arrays of
            another shape, or with NaN.

    Examples:
        >>> import numpy as np, save_avs
        >>> frames = np.zeros((4, 90, 160, 3), np.uint8)
        >>> waveform = np.sin(np.arange(16000) / 8).astype(np.float32)
        >>> result = save_avs.segment_arrays(frames, waveform, sample_rate=16000, fps=4)
        >>> result.masks.shape, result.times.tolist()
        ((4, 90, 160), [0.0, 0.25, 0.5, 0.75])
    """
    if (fps is None) == (times is None):
        raise UsageError("no frame times: give either fps or times")
    chunk = make_chunk(frames, waveform, fps=fps, times=times, sample_rate=sample_rate)
    settings = SegmentationSettings(
        threshold=threshold,
        outputs=outputs,
        batch_size=batch_size,
        smooth=smooth,
        objects=objects,
        track=track,
        normalize_audio=normalize_audio,
        start=start,
        end=end,
    )
    return _Pipeline(array_source(chunk, name), settings).run(_build_predictor(model, settings))


def _build_predictor(model: FrameModel | str | Path, settings: SegmentationSettings) -> Predictor:
    network = load_model(model) if isinstance(model, str | Path) else model
    return Predictor(network, settings.threshold, settings.batch_size, **settings.mask_options())


@dataclass(eq=False)
class _Pipeline:
    """Segmentation of one video: collects its masks, and writes its frames to the output videos."""

    source: VideoSource
    settings: SegmentationSettings
    on_progress: Callable[[FrameProgress], None] | None = None
    on_warning: Callable[[str], None] | None = None
    folder: Path | None = None

    def __post_init__(self) -> None:
        """Begin without masks."""
        self._started = time.perf_counter()
        self._warnings: list[str] = []
        self._warnings_reported = 0
        self._masks = VideoMasksBuilder((self.source.video.height, self.source.video.width))
        self._envelope = WaveformEnvelope(self.settings.start)
        self._thumbnails = Thumbnails()
        self._read_report = ReadReport()

    def run(self, predictor: Predictor) -> SegmentationResult:
        """Read and predict in a thread each; write in the caller's."""
        video, settings = self.source.video, self.settings
        chunk = max(_MIN_CHUNK_FRAMES, _CHUNK_BYTES // (3 * video.width * video.height))
        chunks = self.source.read_chunks(
            fps=settings.fps,
            **settings.read_options(),
            chunk=min(settings.batch_size, chunk),
            sample_rate=predictor.model.frontend.sample_rate,
            report=self._read_report,
            on_warning=self._warnings.append,
        )
        frames, listener = 0, ClassListener(predictor.model)
        with ExitStack() as stack:
            videos = stack.enter_context(open_video_outputs(self.folder, self.source, settings))
            ready = stack.enter_context(Prefetcher(chunks))
            predictions = stack.enter_context(Prefetcher(predictor(listener.listen(ready))))
            for prediction in predictions:
                self._consume(prediction, videos)
                frames += len(prediction.chunk)
                self._report(frames, float(prediction.chunk.times[-1]))
            if advice := listener.advice():
                self._warnings.append(f"{self.source.label}: {advice}")
            self._flush_warnings()
            self.source.check_unchanged()
            if not frames:  # raised before the videos are closed, which cannot be empty
                raise MediaError(f"{self.source.label}: {self._emptiness()}")
        seconds = time.perf_counter() - self._started
        phases = {
            "decode": ready.worked,
            "model": predictions.worked - ready.waited,
            "write": seconds - predictions.waited,
        }
        _logger.info("%s: segmented %d frames in %.1f s", self.source.label, frames, seconds)
        return SegmentationResult(
            source=self.source,
            video_masks=self._masks.build(),
            model=describe_model(predictor.model),
            settings=settings,
            warnings=tuple(self._warnings),
            seconds=seconds,
            phase_seconds=phases,
            envelope=self._envelope,
            thumbnails=tuple(self._thumbnails.kept),
            total_frames=frames,
            read_report=self._read_report,
        )

    def _emptiness(self) -> str:
        """Return why there is no frame."""
        start, end, duration = self.settings.start, self.settings.end, self.source.video.duration
        if not start and end is None:
            return "no frame can be decoded"
        span = f"from {start:g} s on" if end is None else f"from {start:g} s to {end:g} s"
        return f"no frame {span}" + (f": it ends at {duration:.2f} s" if duration is not None else "")

    def _consume(self, prediction: Prediction, videos: VideoOutputs) -> None:
        chunk = prediction.chunk
        self._envelope.add(chunk.waveform, chunk.waveform_start, chunk.sample_rate)
        for i, image in enumerate(chunk.frames):
            frame = prediction.frame(i)
            self._masks.add(frame)
            shown = "overlay" in videos.writers or self._thumbnails.wants()
            drawn = videos.draw(image, frame) if shown else image
            self._thumbnails.add(frame.time, drawn)
            logits = None if prediction.logits is None else prediction.logits[i]
            videos.write(image, frame, drawn=drawn, logits=logits)

    def _report(self, frames: int, moment: float) -> None:
        self._flush_warnings()
        if self.on_progress is not None:
            elapsed = time.perf_counter() - self._started
            start, duration = self.settings.start, self.source.video.duration
            duration = None if duration is None else self.settings.clip(duration) - start
            self.on_progress(FrameProgress(frames, moment - start, duration, elapsed))

    def _flush_warnings(self) -> None:
        """Report new warnings from the caller's thread: they come from the reader's."""
        for text in self._warnings[self._warnings_reported :]:
            self._warnings_reported += 1
            _logger.warning("%s", text)
            if self.on_warning is not None:
                self.on_warning(text)
