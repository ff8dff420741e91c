"""SegmentationResult: the masks of a video, as arrays, frames, plots and files."""

from __future__ import annotations

import io
import math
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from save_avs._files import atomic_folder, atomic_write
from save_avs._text import json_document, path_text
from save_avs.errors import MediaError, UsageError
from save_avs.formats import MASK_FORMATS, MaskDocument, build_coco_dataset, write_masks_json
from save_avs.formats.detections import iterate_detections
from save_avs.inference.objects import MIN_VISIBLE_AREA
from save_avs.inference.result_key import result_key
from save_avs.inference.settings import OUTPUT_FILES, SUMMARY_FILE, SegmentationSettings
from save_avs.inference.sources import VideoSource
from save_avs.inference.video_outputs import open_video_outputs, open_writer
from save_avs.types import F32, F64, U8, Bool, FrameMask, VideoMasks
from save_avs.video import VideoInfo
from save_avs.video.frame_decoder import ReadReport
from save_avs.visualization.overlay import MaskPainter
from save_avs.visualization.plots import save_figure
from save_avs.visualization.timeline import WaveformEnvelope, plot_timeline

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MAX_GAP = 0.3  # seconds: a shorter pause does not end a span of sound


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class SegmentationResult:
    """The masks of a video.

    ``len(result)`` is the number of processed frames and ``result[i]`` one of them, a `FrameMask` with index,
    time, score, mask and objects. ``result[i:j]`` is another result with those frames. Iteration gives each.

    Attributes:
        source: the video; a file must still exist for ``save`` and ``overlay``.
        video_masks: one mask for each processed frame, run-length coded.
        model: name, device and precision of the model, as in the written files.
        settings: how it was segmented.
        warnings: about the video, one line each.
        seconds: how long it took.
        phase_seconds: of that, ``decode``, ``model`` and ``write``, which overlap.
        envelope: of the waveform.
        thumbnails: some frames with their masks drawn in, (time, u8 [h,w,3]).
        total_frames: processed frames of the whole video; a slice has fewer.
        read_report: frames that the video has, and how many had a wrong timestamp.

    Examples:
        >>> import save_avs
        >>> result = save_avs.segment("clip.mp4", fps=2)
        >>> result
        SegmentationResult('clip.mp4': 16 frames of 640x360, 14 with a mask; save-small)
        >>> [frame.time for frame in result[:3]], result[-1].mask.shape
        ([0.0, 0.5, 1.0], (360, 640))
    """

    source: VideoSource
    video_masks: VideoMasks
    model: Mapping[str, Any]
    settings: SegmentationSettings
    warnings: tuple[str, ...]
    seconds: float
    phase_seconds: Mapping[str, float]
    envelope: WaveformEnvelope
    thumbnails: tuple[tuple[float, U8], ...]
    total_frames: int
    read_report: ReadReport

    def __repr__(self) -> str:
        height, width = self.video_masks.size
        frames = f"{len(self)} frame{'s' * (len(self) != 1)} of {width}x{height}"
        marked = int(np.count_nonzero(self.video_masks.areas()))
        return f"SegmentationResult({self._title!r}: {frames}, {marked} with a mask; {self.model['name']})"

    def __len__(self) -> int:
        return len(self.video_masks)

    def __iter__(self) -> Iterator[FrameMask]:
        return iter(self.video_masks)

    @overload
    def __getitem__(self, key: int) -> FrameMask: ...
    @overload
    def __getitem__(self, key: slice) -> SegmentationResult: ...
    def __getitem__(self, key: int | slice) -> FrameMask | SegmentationResult:
        if not isinstance(key, slice):
            return self.video_masks[key]
        masks = self.video_masks[key]
        if not len(masks) or masks.indices != tuple(sorted(masks.indices)):
            raise IndexError(f"{key} of {len(self)} frames: select at least one, in ascending order")
        first, last = masks.times[0], float(frame_ends(masks)[-1])
        thumbnails = tuple(each for each in self.thumbnails if first <= each[0] <= last)
        return replace(self, video_masks=masks, thumbnails=thumbnails)

    @property
    def video(self) -> VideoInfo:
        """Size, frame rate and duration of the video."""
        return self.source.video

    @property
    def masks(self) -> Bool:
        """All masks, bool [T,H,W], decoded on each access: one byte per pixel."""
        height, width = self.video_masks.size
        masks = np.zeros((len(self), height, width), dtype=np.bool_)
        for i in range(len(self)):
            masks[i] = self.video_masks.mask(i)
        return masks

    @property
    def times(self) -> F64:
        """Seconds of each processed frame, f64 [T]."""
        return np.array(self.video_masks.times, dtype=np.float64)

    @property
    def scores(self) -> F32:
        """Mean probability inside each mask, 0 where it is empty, f32 [T]."""
        return np.array(self.video_masks.scores, dtype=np.float32)

    def save(self, directory: str | Path, *, overwrite: bool = False) -> Path:
        """Write the files that the settings name, and the summary, into a new folder; they appear at once.

        Raises:
            UsageError: the folder exists and ``overwrite`` is not given; or the settings name the logits,
                which are only written during segmentation.
            MediaError: the video, read again for the overlay, has changed.
        """
        if "logits" in self.settings.outputs:
            raise UsageError("logits are not kept in memory: give segment() the directory to write them to")
        with atomic_folder(Path(directory), overwrite=overwrite) as folder:
            with open_video_outputs(folder, self.source, self.settings) as videos:
                for image, frame, _ in self._images() if videos.any else ():
                    videos.write(image, frame)
            self.write_records(folder)
        return Path(directory)

    def overlay(self, path: str | Path) -> Path:
        """Write the video with its masks drawn in and its sound; reads the video a second time.

        It has every frame of the video: where fewer were processed, each mask stays until the next.

        Raises:
            MediaError: the video has changed.
        """
        return self._write_video(Path(path), self.settings.painter())

    def _write_video(self, path: Path, draw: MaskPainter | None) -> Path:
        fps = self.settings.fps
        with open_writer(self.source, self.settings, path) as writer:
            for image, frame, time in self._images() if fps is None else self._held_masks(fps):
                writer.write(draw(image, frame) if draw and frame else image, time)
        return path

    def _held_masks(self, fps: float) -> Iterator[tuple[U8, FrameMask | None, float]]:
        """Read every frame of the video, u8 [H,W,3], with the mask last found and its own time."""
        masks, report, shown = self.video_masks, ReadReport(), -1
        end = math.inf if len(self) == self.total_frames else float(frame_ends(masks)[-1])
        # A frame nearest to a time of the grid is shown up to half a step before it.
        starts = list(zip(masks.source_indices, np.array(masks.times) - 0.5 / fps, strict=True))
        frame: FrameMask | None = None
        for chunk in self.source.read_chunks(report=report, **self.settings.read_options()):
            for i, time in enumerate(chunk.times.tolist()):
                now = bisect_right(starts, (int(chunk.source_indices[i]), time)) - 1
                if now > shown:
                    shown, frame = now, masks[now]
                if shown >= 0 and time < end:
                    yield chunk.frames[i], frame, time
        if report.frames_decoded != self.read_report.frames_decoded:
            raise self._changed()

    def _changed(self) -> MediaError:
        return MediaError(f"{self.source.label} has changed since it was segmented")

    def _images(self) -> Iterator[tuple[U8, FrameMask, float]]:
        """Read the processed frames again, u8 [H,W,3], with their masks and times."""
        expected = {index: i for i, index in enumerate(self.video_masks.indices)}
        read = 0
        for chunk in self.source.read_chunks(fps=self.settings.fps, **self.settings.read_options()):
            read += len(chunk)
            frames = zip(chunk.frames, chunk.times, strict=True)
            for index, (image, time) in enumerate(frames, chunk.first_index):
                if (i := expected.get(index)) is None:
                    continue
                if abs(time - self.video_masks.times[i]) > 1e-6:
                    raise self._changed()
                yield image, self.video_masks[i], self.video_masks.times[i]
        if read != self.total_frames:
            raise self._changed()

    def write_records(self, folder: Path) -> None:
        """Write what is not written while the video is processed: masks in each format, timeline, summary.

        So are overlay and plain video at a requested rate, which have more frames than were processed.
        """
        document, outputs = self._document(), self.settings.outputs
        for name in outputs:
            path = folder / OUTPUT_FILES[name]
            if name in ("overlay", "video") and self.settings.fps is not None:
                self._write_video(path, self.settings.painter() if name == "overlay" else None)
            elif name in MASK_FORMATS:
                MASK_FORMATS[name].write(path, document)
            elif name == "masks":
                write_masks_json(path, document)
            elif name == "timeline":
                save_figure(path, self.plot())
        atomic_write(folder / SUMMARY_FILE, json_document(self.summary()))

    def to_coco(self) -> dict[str, Any]:
        """Return the masks as a COCO dataset: images, annotations with run lengths, the category.

        ``pycocotools.coco.COCO`` opens the file that ``json.dump`` writes of it.
        """
        return build_coco_dataset(self._document())

    def to_supervision(self) -> Iterator[Any]:
        """Iterate over ``supervision.Detections`` of each frame, with its index and time in ``metadata``.

        Each object is a detection, its id the ``tracker_id``; without objects the mask is one.

        Raises:
            MissingExtraError: supervision is not installed.
        """
        return iterate_detections(self._document())

    def _document(self) -> MaskDocument:
        return MaskDocument(self.video_masks, self._video_json(), self.model)

    def plot(self) -> Figure:
        """Plot the timeline with matplotlib: the waveform, the marked area, some frames with their masks."""
        whole = len(self) == self.total_frames
        return plot_timeline(
            envelope=self.envelope,
            times=self.video_masks.times,
            areas=self.video_masks.areas(),
            thumbnails=self.thumbnails,
            start=self.settings.start if whole else self.video_masks.times[0],
            end=self.settings.clip(self._duration()) if whole else float(frame_ends(self.video_masks)[-1]),
            title=self._title,
        )

    def _repr_png_(self) -> bytes:
        """Show the timeline where a notebook displays the result."""
        image = io.BytesIO()
        self.plot().savefig(image, format="png")
        return image.getvalue()

    def show(self, *, video: bool = True) -> None:
        """Show the timeline in a notebook, and below it the overlay video with its sound.

        Args:
            video: embed the overlay, which is written to a temporary file and read into the page.

        Raises:
            UsageError: IPython is not installed.
            MediaError: the video, read again for the overlay, has changed.
        """
        try:
            from IPython.display import Image, Video, display
        except ModuleNotFoundError:
            raise UsageError("show() needs a notebook: use plot(), overlay() or save() elsewhere") from None
        from tempfile import TemporaryDirectory

        display(Image(self._repr_png_()))
        if video:
            with TemporaryDirectory() as folder:
                display(Video(self.overlay(Path(folder) / "overlay.mp4"), embed=True))

    def summary(self) -> dict[str, Any]:
        """Return what summary.json contains."""
        areas, whole = self.video_masks.areas(), len(self) == self.total_frames
        ids = {each.id for frame in self.video_masks.objects or () for each in frame}
        key = result_key(self.source.fingerprint, self.settings, self.model)
        return {
            "version": 1,
            "source": self.source.name,
            "video": self._video_json(),
            "model": dict(self.model),
            "settings": key["settings"],
            "key": key if whole else None,
            "frames": len(self),
            **asdict(self.read_report),
            "marked_frames": int(np.count_nonzero(areas)),
            "marked_area": float(areas.mean()) if len(areas) else 0.0,
            **({"objects": len(ids)} if self.settings.track else {}),
            "spans": find_sounding_spans(self.video_masks),
            "warnings": list(self.warnings),
            "seconds": round(self.seconds, 3),
            "phase_seconds": {phase: round(value, 3) for phase, value in self.phase_seconds.items()},
            "frames_per_second": round(len(self) / max(self.seconds, 1e-9), 2),
        }

    @property
    def _title(self) -> str:
        return path_text(Path(self.source.label).name)

    def _video_json(self) -> dict[str, Any]:
        video = self.video
        aspect = video.sample_aspect_ratio
        return {
            "path": path_text(self.source.label),
            "width": video.width,
            "height": video.height,
            "fps": video.fps,
            "duration": self._duration(),
            "sample_aspect_ratio": f"{aspect.numerator}:{aspect.denominator}",
        }

    def _duration(self) -> float:
        """Return the duration that the file states, or else the end of the last frame."""
        if self.video.duration is not None:
            return self.video.duration
        return (self.video_masks.times[-1] if len(self) else 0.0) + 1 / self.video.fps


def find_sounding_spans(masks: VideoMasks) -> list[dict[str, float]]:
    """Join the frames with a visible mask into spans: start and end in seconds, mean area, 0..1, in order."""
    times, ends, areas = np.array(masks.times), frame_ends(masks), masks.areas()
    spans: list[list[int]] = []
    for i in np.flatnonzero(areas >= MIN_VISIBLE_AREA).tolist():
        if spans and times[i] - ends[spans[-1][-1]] < _MAX_GAP:
            spans[-1].append(i)
        else:
            spans.append([i])
    return [
        {"start": float(times[s[0]]), "end": float(ends[s[-1]]), "area": float(areas[s].mean())}
        for s in spans
    ]


def frame_ends(masks: VideoMasks) -> F64:
    """Return when each frame ends, f64 [T]: at the next one; the last lasts as long as the one before."""
    times = np.array(masks.times, dtype=np.float64)
    steps = np.diff(times)
    return np.append(times[1:], times[-1:] + (steps[-1:] if len(steps) else 0.0))
