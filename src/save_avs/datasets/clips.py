"""The one reader: a split of any benchmark, as a list of clips that know their files."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol

import numpy as np
from PIL import Image

from save_avs.audio.frontend import VGGISH, Frontend
from save_avs.audio.log_mel import SAMPLE_RATE, log_mel_at
from save_avs.datasets.base import ClipMetadata
from save_avs.datasets.clip_files import (
    ClipPaths,
    ReadAnnotation,
    patches_of,
    read_frame,
    read_mask,
    read_patches,
    read_wav,
    stored_patches,
)
from save_avs.datasets.storage import StoredFile
from save_avs.errors import DataError
from save_avs.types import F32, U8, AVSample

Kind = Literal["frame", "truth", "sound", "log_mel", "film"]


@dataclass(frozen=True)
class ClipFile:
    """A file of a clip, and what reads it.

    Attributes:
        kind: what it holds; ``log_mel`` may be missing, for the sound says the same.
        path: the file.
        read: reads it alone, and raises DataError when it is missing or broken.
    """

    kind: Kind
    path: StoredFile
    read: Callable[[Any], Any]


class ClipEntry(Protocol):
    """A clip that has not been opened yet."""

    @property
    def metadata(self) -> ClipMetadata:
        """What is known of it already."""
        ...

    def parts(self) -> Iterator[ClipFile]:
        """Its files, one by one."""
        ...

    def waveform(self, sample_rate: int = SAMPLE_RATE) -> F32:
        """Its sound, mono, ``sample_rate`` samples a second, f32 [S].

        Raises:
            DataError: when the sound is missing or broken.
        """
        ...

    def hear(self, frontend: Frontend = VGGISH) -> F32:
        """Its patches, f32 [T,frames,bands], as ``read`` gives them.

        Raises:
            DataError: when the sound is missing or broken.
        """
        ...

    def read(self, *, labeled: bool, waveform: F32 | None = None, frontend: Frontend = VGGISH) -> AVSample:
        """Open its files.

        Args:
            labeled: the sample carries the class of each pixel.
            waveform: a sound in place of its own, as ``waveform`` gives it at the front-end's rate.
            frontend: what its patches are to be.

        Raises:
            DataError: when a file is missing or broken; the line names it.
        """
        ...


@dataclass(frozen=True)
class ClipDataset:
    """One split of a data set; an :class:`save_avs.datasets.base.WaveformDataset`.

    Attributes:
        name: of the data set.
        split: ``train``, ``val`` or ``test``.
        classes: names of the labels, background first; empty where there are only masks.
        entries: the clips, in the order of the benchmark's own table.
        frontend: what the patches of its samples are.
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
        """Read a clip, with another sound than its own where one is given."""
        return self.entries[i].read(labeled=bool(self.classes), waveform=waveform, frontend=self.frontend)

    @property
    def sample_rate(self) -> int:
        """Samples a second of its sounds."""
        return self.frontend.sample_rate

    def waveform(self, i: int) -> F32:
        """The sound of a clip, mono, f32 [S]."""
        return self.entries[i].waveform(self.sample_rate)

    def with_frontend(self, frontend: Frontend) -> ClipDataset:
        """The same clips with the patches of another front-end."""
        return replace(self, frontend=frontend)

    def metadata(self, i: int) -> ClipMetadata:
        """What is known of a clip without opening its files."""
        return self.entries[i].metadata

    def log_mel(self, i: int) -> F32:
        """The patches of a clip, f32 [T,frames,bands], without opening its pictures where that can be."""
        return self.entries[i].hear(self.frontend)


@dataclass(frozen=True)
class ImageSequenceClip:
    """A clip stored as pictures, annotations of some of them, and a sound.

    Attributes:
        metadata: what the table says.
        files: where its parts lie. Frame k belongs to VGGish patch ``first_log_mel_patch`` + k, or to what another
            front-end makes of the sound around the middle of that one.
        read_annotation: reads an annotation, u8 [H,W], 0 for the background.
        first_log_mel_patch: the patch of the first frame.
        times: seconds into the sound at which each frame's patch is centered instead, where it was a film's.
    """

    metadata: ClipMetadata
    files: ClipPaths[StoredFile]
    read_annotation: ReadAnnotation = read_mask
    first_log_mel_patch: int = 0
    times: tuple[float, ...] | None = None

    def parts(self) -> Iterator[ClipFile]:
        """Its files, one by one."""
        for path in self.files.frames:
            yield ClipFile("frame", path, read_frame)
        for path in self.files.annotations:
            if path is not None:
                yield ClipFile("truth", path, self.read_annotation)
        yield ClipFile("sound", self.files.wav, read_wav)
        if self.files.log_mel is not None:
            yield ClipFile("log_mel", self.files.log_mel, read_patches)

    def waveform(self, sample_rate: int = SAMPLE_RATE) -> F32:
        """The sound, mono, ``sample_rate`` samples a second, f32 [S].

        Raises:
            DataError: when it is missing or broken.
        """
        return read_wav(self.files.wav, sample_rate)

    def hear(self, frontend: Frontend = VGGISH) -> F32:
        """The patch of each frame, f32 [T,frames,bands].

        VGGish's come from the pickle; others, or without a whole one, from the wav.

        Raises:
            DataError: when neither can be read.
        """
        log_mel = stored_patches(self.files) if frontend == VGGISH else None
        if log_mel is None:
            return self._patches_in(self.waveform(frontend.sample_rate), frontend)
        return self._beside_frames(log_mel)

    def _patches_in(self, waveform: F32, frontend: Frontend) -> F32:
        """The patch of each frame in a sound."""
        if self.times is not None:
            return log_mel_at(waveform, frontend.sample_rate, self.times, frontend=frontend)
        return self._beside_frames(patches_of(waveform, frontend))

    def _beside_frames(self, log_mel: F32) -> F32:
        """A sound that is short repeats its last patch, as the benchmark's own files do."""
        frames = np.arange(self.first_log_mel_patch, self.first_log_mel_patch + len(self.files.frames))
        return log_mel[np.minimum(frames, len(log_mel) - 1)]

    def read(self, *, labeled: bool, waveform: F32 | None = None, frontend: Frontend = VGGISH) -> AVSample:
        """Read everything at the frames' own size, with another sound than its own where one is given.

        Raises:
            DataError: when a file is missing or broken; the line names it.
        """
        frames = _stack(self.files)
        annotations = np.zeros(frames.shape[:3], np.uint8)
        for k, path in enumerate(self.files.annotations):
            if path is not None:
                annotations[k] = _fit(self.read_annotation(path), frames.shape[1:3], path)
        return AVSample(
            name=self.metadata.name,
            frames=frames,
            log_mel=self.hear(frontend) if waveform is None else self._patches_in(waveform, frontend),
            masks=annotations > 0,
            has_mask=np.array([path is not None for path in self.files.annotations]),
            valid=np.ones(len(frames), bool),
            labels=annotations if labeled else None,
        )


def _stack(files: ClipPaths[StoredFile]) -> U8:
    frames = [read_frame(path) for path in files.frames]
    for path, frame in zip(files.frames, frames, strict=True):
        if frame.shape != frames[0].shape:
            (h, w), (first_h, first_w) = frame.shape[:2], frames[0].shape[:2]
            raise DataError(f"{path}: is {w} x {h}, the clip's first frame {first_w} x {first_h}")
    return np.stack(frames)


def _fit(truth: U8, size: tuple[int, int], path: StoredFile) -> U8:
    """An annotation that is the frame's size, or was stored scaled: then by nearest neighbor.

    Raises:
        DataError: when it has another shape than the frame, so that it cannot be the frame's.
    """
    if truth.shape == size:
        return truth
    (h, w), (frame_h, frame_w) = truth.shape, size
    if abs(h - w * frame_h / frame_w) > 1:
        raise DataError(f"{path}: is {w} x {h}, its frame {frame_w} x {frame_h}: not the same picture")
    return np.asarray(Image.fromarray(truth).resize((frame_w, frame_h), Image.Resampling.NEAREST))
