"""What segmenting a video gives: its masks, and the files that show them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from save_avs.errors import MediaError
from save_avs.inference.films import film_of, open_films
from save_avs.inference.folders import MASKS, SUMMARY, TIMELINE, staged
from save_avs.inference.naming import printable, source_of
from save_avs.inference.settings import Settings
from save_avs.inference.spans import marked_spans
from save_avs.media import VideoInfo, read_clips
from save_avs.render import (
    Thumbnails,
    WaveEnvelope,
    draw,
    draw_timeline,
    write_masks_json,
    write_summary,
)
from save_avs.render.formats import FORMATS, MaskSet, coco_dataset
from save_avs.types import MaskTrack


@dataclass(frozen=True, kw_only=True)
class SegmentationResult:
    """The masks of a video, and what its files are made from.

    Attributes:
        video: the video they are of; it must still be there for ``save`` and ``overlay``.
        track: one mask for each processed frame.
        model: name, device and precision of the model, as the files name it.
        settings: how it was segmented.
        warnings: what was worth knowing about the video, one line each.
        seconds: what it took.
        envelope: outline of the sound.
        thumbnails: some marked frames, (time, u8 [h,w,3]).
    """

    video: VideoInfo
    track: MaskTrack
    model: Mapping[str, Any]
    settings: Settings
    warnings: tuple[str, ...]
    seconds: float
    envelope: WaveEnvelope
    thumbnails: Thumbnails

    def save(self, directory: str | Path, *, overwrite: bool = False) -> Path:
        """Write the files that the settings name, and the summary, into a new folder; they appear at once.

        Raises:
            UsageError: the folder exists and ``overwrite`` is not given.
            MediaError: the video, read again for the overlay, is no longer the same.
        """
        with staged(Path(directory), overwrite=overwrite) as folder:
            with open_films(folder, self.video, self.settings) as films:
                for i, (frame, time) in enumerate(self._frames() if films.any else ()):
                    films.write(frame, self.track.mask(i), time)
            self.write_records(folder)
        return Path(directory)

    def overlay(self, path: str | Path) -> Path:
        """Write the video with its masks drawn in and its sound, reading the frames a second time.

        Raises:
            MediaError: the video is no longer the same.
        """
        with film_of(self.video, path, self.settings.fps) as writer:
            for i, (frame, time) in enumerate(self._frames()):
                writer.write(draw(frame, self.track.mask(i)), time)
        return Path(path)

    def _frames(self) -> Iterator[tuple[np.ndarray, float]]:
        count = 0
        for clip in read_clips(self.video.path, fps=self.settings.fps):
            for frame, time in zip(clip.frames, clip.times.tolist(), strict=True):
                if count == len(self.track) or abs(time - self.track.times[count]) > 1e-6:
                    raise MediaError(f"{self.video.path}: changed since it was segmented")
                yield frame, time
                count += 1
        if count != len(self.track):
            raise MediaError(f"{self.video.path}: changed since it was segmented")

    def write_records(self, folder: Path) -> None:
        """Write what needs no second look at the video: masks in every format, timeline, summary."""
        outputs = self.settings.outputs
        for name in (name for name in outputs if name in FORMATS):
            FORMATS[name].write(folder / FORMATS[name].file, self._masks())
        if "masks" in outputs:
            write_masks_json(folder / MASKS, self.track, video=self._video(), model=self.model)
        if "timeline" in outputs:
            draw_timeline(
                folder / TIMELINE,
                envelope=self.envelope,
                times=self.track.times,
                areas=self.track.areas(),
                thumbnails=self.thumbnails.kept,
                end=self._duration(),
                title=printable(Path(self.video.path.name)),
            )
        write_summary(folder / SUMMARY, self.summary())

    def to_coco(self) -> dict[str, Any]:
        """The masks as a COCO data set: images, annotations with run lengths, the category.

        ``pycocotools.coco.COCO`` opens what ``json.dump`` writes of it.
        """
        return coco_dataset(self._masks())

    def _masks(self) -> MaskSet:
        return MaskSet(self.track, self._video(), self.model)

    def summary(self) -> dict[str, Any]:
        """What was done, as summary.json holds it."""
        areas = self.track.areas()
        return {
            "version": 1,
            "source": source_of(self.video.path),
            "video": self._video(),
            "model": dict(self.model),
            "settings": {"fps": self.settings.fps or "native", "threshold": self.settings.threshold},
            "frames": len(self.track),
            "marked_frames": int(np.count_nonzero(areas)),
            "marked_area": float(areas.mean()) if len(areas) else 0.0,
            "spans": [asdict(span) for span in marked_spans(self.track)],
            "warnings": list(self.warnings),
            "seconds": round(self.seconds, 3),
            "frames_per_second": round(len(self.track) / max(self.seconds, 1e-9), 2),
        }

    def _video(self) -> dict[str, Any]:
        video = self.video
        return {
            "path": printable(video.path),
            "width": video.width,
            "height": video.height,
            "fps": video.fps,
            "duration": self._duration(),
        }

    def _duration(self) -> float:
        """What the file says, or else the end of the last frame."""
        if self.video.duration is not None:
            return self.video.duration
        return (self.track.times[-1] if len(self.track) else 0.0) + 1 / self.video.fps
