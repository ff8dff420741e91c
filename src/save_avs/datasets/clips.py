"""One split of any data set: a list of clips that know their files."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np
from PIL import Image

from save_avs.audio.frontend import VGGISH, Frontend
from save_avs.audio.log_mel import SAMPLE_RATE, log_mel_at
from save_avs.datasets.base import ClipMetadata
from save_avs.datasets.clip_files import (
    ClipPaths,
    ReadAnnotation,
    log_mel_per_second,
    read_frame,
    read_mask,
    read_waveform,
)
from save_avs.datasets.storage import StoredFile
from save_avs.errors import DataError
from save_avs.types import F32, U8, AVSample


class ClipFile(NamedTuple):
    """A file of a clip.

    Attributes:
        kind: what it holds.
        path: the file.
        read: reads it alone; raises DataError if it is missing or broken.
    """

    kind: Literal["frame", "annotation", "audio", "video"]
    path: StoredFile
    read: Callable[[Any], Any]


class ClipEntry(Protocol):
    """A clip whose files have not been opened yet. Every reader raises DataError, which names the file."""

    @property
    def metadata(self) -> ClipMetadata:
        """What is known of it already."""
        ...

    def files(self) -> Iterator[ClipFile]:
        """List its files."""
        ...

    def waveform(self, sample_rate: int = SAMPLE_RATE) -> F32:
        """Read its audio, mono, f32 [S]."""
        ...

    def log_mel(self, frontend: Frontend = VGGISH) -> F32:
        """Compute the log-mel patch of each frame, f32 [T,frames,bands]."""
        ...

    def read(self, *, labeled: bool, waveform: F32 | None = None, frontend: Frontend = VGGISH) -> AVSample:
        """Open its files.

        Args:
            labeled: whether the sample carries the class of each pixel.
            waveform: replaces its own audio, at the front-end's sample rate.
            frontend: how log-mel patches are computed.
        """
        ...


@dataclass(frozen=True)
class ClipDataset:
    """One split of a data set; a :class:`save_avs.datasets.base.WaveformDataset`.

    Attributes:
        name: of the data set.
        split: ``train``, ``val`` or ``test``.
        classes: names of the classes, background first; empty where there are only masks.
        entries: the clips, in the order of the benchmark's own table.
        frontend: how the log-mel of its samples is computed.
    """

    name: str
    split: str
    classes: tuple[str, ...]
    entries: Sequence[ClipEntry]
    frontend: Frontend = VGGISH

    def __len__(self) -> int:
        return len(self.entries)

    def __getitem__(self, i: int) -> AVSample:
        return self.read(i)

    def read(self, i: int, *, waveform: F32 | None = None) -> AVSample:
        """Read a clip; its log-mel is computed from ``waveform`` if one is given."""
        return self.entries[i].read(labeled=bool(self.classes), waveform=waveform, frontend=self.frontend)

    @property
    def sample_rate(self) -> int:
        """Sample rate of ``waveform``, in Hz."""
        return self.frontend.sample_rate

    def waveform(self, i: int) -> F32:
        """Read the audio of a clip, mono, f32 [S]."""
        return self.entries[i].waveform(self.sample_rate)

    def with_frontend(self, frontend: Frontend) -> ClipDataset:
        """Return the same clips with the log-mel of another front-end."""
        return replace(self, frontend=frontend)

    def metadata(self, i: int) -> ClipMetadata:
        """Return what is known of a clip without opening its files."""
        return self.entries[i].metadata

    def log_mel(self, i: int) -> F32:
        """Compute the log-mel patches of a clip, f32 [T,frames,bands], without decoding its images."""
        return self.entries[i].log_mel(self.frontend)


@dataclass(frozen=True)
class ImageSequenceClip:
    """A clip stored as images, annotations of some of them, and audio.

    Attributes:
        metadata: of the benchmark's table.
        paths: its files.
        read_annotation: reads an annotation, u8 [H,W], 0 for the background.
        first_log_mel_patch: VGGish patch of the first frame. Frame k belongs to the patch k later; other
            front-ends take the audio around the same time.
        times: for frames cut from a video, their times in seconds; each frame's patch is centered there.
    """

    metadata: ClipMetadata
    paths: ClipPaths[StoredFile]
    read_annotation: ReadAnnotation = read_mask
    first_log_mel_patch: int = 0
    times: tuple[float, ...] | None = None

    def files(self) -> Iterator[ClipFile]:
        """List its files."""
        for path in self.paths.frames:
            yield ClipFile("frame", path, read_frame)
        for path in self.paths.annotations:
            if path is not None:
                yield ClipFile("annotation", path, self.read_annotation)
        yield ClipFile("audio", self.paths.audio, read_waveform)

    def waveform(self, sample_rate: int = SAMPLE_RATE) -> F32:
        """Read its audio, mono, f32 [S]."""
        return read_waveform(self.paths.audio, sample_rate)

    def log_mel(self, frontend: Frontend = VGGISH) -> F32:
        """Compute the log-mel patch of each frame, f32 [T,frames,bands]."""
        return self._log_mel_of(self.waveform(frontend.sample_rate), frontend)

    def _log_mel_of(self, waveform: F32, frontend: Frontend) -> F32:
        """Take the patch of each frame; short audio repeats its last patch, as in the official loaders."""
        if self.times is not None:
            return log_mel_at(waveform, frontend.sample_rate, self.times, frontend=frontend)
        patches = log_mel_per_second(waveform, frontend)
        frames = np.arange(self.first_log_mel_patch, self.first_log_mel_patch + len(self.paths.frames))
        return patches[np.minimum(frames, len(patches) - 1)]

    def read(self, *, labeled: bool, waveform: F32 | None = None, frontend: Frontend = VGGISH) -> AVSample:
        """Read everything at the frames' own size."""
        frames = self._read_frames()
        annotations = np.zeros(frames.shape[:3], np.uint8)
        for k, path in enumerate(self.paths.annotations):
            if path is not None:
                annotations[k] = _resize_annotation(self.read_annotation(path), frames.shape[1:3], path)
        return AVSample(
            name=self.metadata.name,
            frames=frames,
            log_mel=self.log_mel(frontend) if waveform is None else self._log_mel_of(waveform, frontend),
            masks=annotations > 0,
            has_mask=np.array([path is not None for path in self.paths.annotations]),
            valid=np.ones(len(frames), bool),
            labels=annotations if labeled else None,
        )

    def _read_frames(self) -> U8:
        frames = [read_frame(path) for path in self.paths.frames]
        for path, frame in zip(self.paths.frames, frames, strict=True):
            if frame.shape != frames[0].shape:
                (h, w), (first_h, first_w) = frame.shape[:2], frames[0].shape[:2]
                raise DataError(f"{path}: is {w} x {h}, the clip's first frame {first_w} x {first_h}")
        return np.stack(frames)


def _resize_annotation(annotation: U8, size: tuple[int, int], path: StoredFile) -> U8:
    """Bring an annotation that was stored at another scale to its frame's size, by nearest neighbor.

    Raises:
        DataError: its aspect ratio is not the frame's.
    """
    if annotation.shape == size:
        return annotation
    (h, w), (frame_h, frame_w) = annotation.shape, size
    if abs(h - w * frame_h / frame_w) > 1:
        raise DataError(f"{path}: is {w} x {h}, its frame {frame_w} x {frame_h}: not the same image")
    return np.asarray(Image.fromarray(annotation).resize((frame_w, frame_h), Image.Resampling.NEAREST))
