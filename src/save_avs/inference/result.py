"""What segmenting a video gives: its masks, and the files that show them."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from save_avs._files import atomic_folder
from save_avs._text import path_text
from save_avs.errors import MediaError
from save_avs.formats import MASK_FORMATS, MaskDocument, build_coco_dataset
from save_avs.inference.output_files import MASKS_FILE, SUMMARY_FILE, TIMELINE_FILE
from save_avs.inference.settings import SegmentationSettings
from save_avs.inference.sources import VideoSource
from save_avs.inference.time_segments import find_sounding_spans
from save_avs.inference.video_outputs import open_video_outputs, open_writer
from save_avs.types import F32, F64, Bool, VideoMasks
from save_avs.video import VideoInfo
from save_avs.visualization import (
    Thumbnails,
    WaveformEnvelope,
    draw_mask,
    save_figure,
    timeline,
    write_masks_json,
    write_summary,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, kw_only=True)
class SegmentationResult:
    """The masks of a video, and what its files are made from.

    Attributes:
        video_source: what they are of; a file must still be there for ``save`` and ``overlay``.
        video_masks: one mask for each processed frame.
        model: name, device and precision of the model, as the files name it.
        settings: how it was segmented.
        warnings: what was worth knowing about the video, one line each.
        seconds: what it took.
        envelope: outline of the sound.
        thumbnails: some marked frames, (time, u8 [h,w,3]).
    """

    video_source: VideoSource
    video_masks: VideoMasks
    model: Mapping[str, Any]
    settings: SegmentationSettings
    warnings: tuple[str, ...]
    seconds: float
    envelope: WaveformEnvelope
    thumbnails: Thumbnails

    @property
    def video(self) -> VideoInfo:
        """Size, rate and length of what was segmented."""
        return self.video_source.video

    @property
    def masks(self) -> Bool:
        """All masks, decoded anew: bool [T,H,W], a byte a pixel; ``video_masks.mask(i)`` decodes one."""
        return np.stack([self.video_masks.mask(i) for i in range(len(self.video_masks))])

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
            UsageError: the folder exists and ``overwrite`` is not given.
            MediaError: the video, read again for the overlay, is no longer the same.
        """
        with atomic_folder(Path(directory), overwrite=overwrite) as folder:
            with open_video_outputs(folder, self.video_source, self.settings) as video_outputs:
                for i, (frame, time) in enumerate(self._frames() if video_outputs.any else ()):
                    video_outputs.write(frame, self.video_masks.mask(i), time)
            self.write_records(folder)
        return Path(directory)

    def overlay(self, path: str | Path) -> Path:
        """Write the video with its masks drawn in and its sound, reading the frames a second time.

        Raises:
            MediaError: the video is no longer the same.
        """
        with open_writer(self.video_source, path, self.settings.fps) as writer:
            for i, (frame, time) in enumerate(self._frames()):
                writer.write(draw_mask(frame, self.video_masks.mask(i)), time)
        return Path(path)

    def _frames(self) -> Iterator[tuple[np.ndarray, float]]:
        count = 0
        for clip in self.video_source.clips(fps=self.settings.fps):
            for frame, time in zip(clip.frames, clip.times.tolist(), strict=True):
                if count == len(self.video_masks) or abs(time - self.video_masks.times[count]) > 1e-6:
                    raise MediaError(f"{self.video.path}: changed since it was segmented")
                yield frame, time
                count += 1
        if count != len(self.video_masks):
            raise MediaError(f"{self.video.path}: changed since it was segmented")

    def write_records(self, folder: Path) -> None:
        """Write what needs no second look at the video: masks in every format, timeline, summary."""
        outputs = self.settings.outputs
        for name in (name for name in outputs if name in MASK_FORMATS):
            MASK_FORMATS[name].write(folder / MASK_FORMATS[name].file, self._masks())
        if "masks" in outputs:
            write_masks_json(folder / MASKS_FILE, self.video_masks, video=self._video(), model=self.model)
        if "timeline" in outputs:
            save_figure(folder / TIMELINE_FILE, self.plot())
        write_summary(folder / SUMMARY_FILE, self.summary())

    def to_coco(self) -> dict[str, Any]:
        """The masks as a COCO data set: images, annotations with run lengths, the category.

        ``pycocotools.coco.COCO`` opens what ``json.dump`` writes of it.
        """
        return build_coco_dataset(self._masks())

    def _masks(self) -> MaskDocument:
        return MaskDocument(self.video_masks, self._video(), self.model)

    def plot(self) -> Figure:
        """Draw the timeline: the sound, how much is marked, and what it looks like; a matplotlib figure."""
        return timeline(
            envelope=self.envelope,
            times=self.video_masks.times,
            areas=self.video_masks.areas(),
            thumbnails=self.thumbnails.kept,
            end=self._duration(),
            title=path_text(Path(self.video.path.name)),
        )

    def _repr_png_(self) -> bytes:
        """Show the timeline where a notebook shows the result."""
        picture = io.BytesIO()
        self.plot().savefig(picture, format="png")
        return picture.getvalue()

    def summary(self) -> dict[str, Any]:
        """What was done, as summary.json holds it."""
        areas = self.video_masks.areas()
        return {
            "version": 1,
            "source": self.video_source.source,
            "video": self._video(),
            "model": dict(self.model),
            "settings": {"fps": self.settings.fps or "native", "threshold": self.settings.threshold},
            "frames": len(self.video_masks),
            "marked_frames": int(np.count_nonzero(areas)),
            "marked_area": float(areas.mean()) if len(areas) else 0.0,
            "spans": [asdict(span) for span in find_sounding_spans(self.video_masks)],
            "warnings": list(self.warnings),
            "seconds": round(self.seconds, 3),
            "frames_per_second": round(len(self.video_masks) / max(self.seconds, 1e-9), 2),
        }

    def _video(self) -> dict[str, Any]:
        video = self.video
        return {
            "path": path_text(video.path),
            "width": video.width,
            "height": video.height,
            "fps": video.fps,
            "duration": self._duration(),
        }

    def _duration(self) -> float:
        """What the file says, or else the end of the last frame."""
        if self.video.duration is not None:
            return self.video.duration
        return (self.video_masks.times[-1] if len(self.video_masks) else 0.0) + 1 / self.video.fps
