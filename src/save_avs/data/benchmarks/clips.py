"""The one reader: a split of any benchmark, as a list of clips that know their files."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol

import numpy as np
from PIL import Image

from save_avs.audio.front_end import VGGISH, FrontEnd
from save_avs.audio.log_mel import SAMPLE_RATE, log_mel_at
from save_avs.data.benchmarks.files import (
    ClipFiles,
    ReadTruth,
    patches_of,
    read_frame,
    read_mask,
    read_patches,
    read_wav,
    stored_patches,
)
from save_avs.data.clipset import ClipFacts
from save_avs.data.file import File
from save_avs.errors import DataError
from save_avs.types import F32, U8, AVSample

Kind = Literal["frame", "truth", "sound", "patches", "film"]


@dataclass(frozen=True)
class Part:
    """A file of a clip, and what reads it.

    Attributes:
        kind: what it holds; ``patches`` may be missing, for the sound says the same.
        path: the file.
        read: reads it alone, and raises DataError when it is missing or broken.
    """

    kind: Kind
    path: File
    read: Callable[[Any], Any]


class Entry(Protocol):
    """A clip that has not been opened yet."""

    @property
    def facts(self) -> ClipFacts:
        """What is known of it already."""
        ...

    def parts(self) -> Iterator[Part]:
        """Its files, one by one."""
        ...

    def wave(self, rate: int = SAMPLE_RATE) -> F32:
        """Its sound, mono, ``rate`` samples a second, f32 [S].

        Raises:
            DataError: when the sound is missing or broken.
        """
        ...

    def hear(self, front_end: FrontEnd = VGGISH) -> F32:
        """Its patches, f32 [T,frames,bands], as ``read`` gives them.

        Raises:
            DataError: when the sound is missing or broken.
        """
        ...

    def read(self, *, labelled: bool, wave: F32 | None = None, front_end: FrontEnd = VGGISH) -> AVSample:
        """Open its files.

        Args:
            labelled: the sample carries the class of each pixel.
            wave: a sound in place of its own, as ``wave`` gives it at the front-end's rate.
            front_end: what its patches are to be.

        Raises:
            DataError: when a file is missing or broken; the line names it.
        """
        ...


@dataclass(frozen=True)
class Clips:
    """One split of a data set; an :class:`save_avs.data.clipset.AudibleClips`.

    Attributes:
        name: of the data set.
        split: ``train``, ``val`` or ``test``.
        classes: names of the labels, background first; empty where there are only masks.
        entries: the clips, in the order of the benchmark's own table.
        front_end: what the patches of its samples are.
    """

    name: str
    split: str
    classes: tuple[str, ...]
    entries: Sequence[Entry]
    front_end: FrontEnd = VGGISH

    def __len__(self) -> int:
        return len(self.entries)

    def __getitem__(self, i: int) -> AVSample:
        return self.read(i)

    def read(self, i: int, *, wave: F32 | None = None) -> AVSample:
        """Read a clip, with another sound than its own where one is given."""
        return self.entries[i].read(labelled=bool(self.classes), wave=wave, front_end=self.front_end)

    @property
    def rate(self) -> int:
        """Samples a second of its sounds."""
        return self.front_end.rate

    def wave(self, i: int) -> F32:
        """The sound of a clip, mono, f32 [S]."""
        return self.entries[i].wave(self.rate)

    def heard_by(self, front_end: FrontEnd) -> Clips:
        """The same clips with the patches of another front-end."""
        return replace(self, front_end=front_end)

    def facts(self, i: int) -> ClipFacts:
        """What is known of a clip without opening its files."""
        return self.entries[i].facts

    def patches(self, i: int) -> F32:
        """The patches of a clip, f32 [T,frames,bands], without opening its pictures where that can be."""
        return self.entries[i].hear(self.front_end)


@dataclass(frozen=True)
class Stills:
    """A clip stored as pictures, annotations of some of them, and a sound.

    Attributes:
        facts: what the table says.
        files: where its parts lie. Frame k belongs to VGGish patch ``first_patch`` + k, or to what another
            front-end makes of the sound around the middle of that one.
        read_truth: reads an annotation, u8 [H,W], 0 for the background.
        first_patch: the patch of the first frame.
        times: seconds into the sound at which each frame's patch is centred instead, where it was a film's.
    """

    facts: ClipFacts
    files: ClipFiles[File]
    read_truth: ReadTruth = read_mask
    first_patch: int = 0
    times: tuple[float, ...] | None = None

    def parts(self) -> Iterator[Part]:
        """Its files, one by one."""
        for path in self.files.frames:
            yield Part("frame", path, read_frame)
        for path in self.files.truths:
            if path is not None:
                yield Part("truth", path, self.read_truth)
        yield Part("sound", self.files.wav, read_wav)
        if self.files.patches is not None:
            yield Part("patches", self.files.patches, read_patches)

    def wave(self, rate: int = SAMPLE_RATE) -> F32:
        """The sound, mono, ``rate`` samples a second, f32 [S].

        Raises:
            DataError: when it is missing or broken.
        """
        return read_wav(self.files.wav, rate)

    def hear(self, front_end: FrontEnd = VGGISH) -> F32:
        """The patch of each frame, f32 [T,frames,bands].

        VGGish's come from the pickle; others, or without a whole one, from the wav.

        Raises:
            DataError: when neither can be read.
        """
        patches = stored_patches(self.files) if front_end == VGGISH else None
        if patches is None:
            return self._patches_in(self.wave(front_end.rate), front_end)
        return self._beside_frames(patches)

    def _patches_in(self, wave: F32, front_end: FrontEnd) -> F32:
        """The patch of each frame in a sound."""
        if self.times is not None:
            return log_mel_at(wave, front_end.rate, self.times, front_end=front_end)
        return self._beside_frames(patches_of(wave, front_end))

    def _beside_frames(self, patches: F32) -> F32:
        """A sound that is short repeats its last patch, as the benchmark's own files do."""
        frames = np.arange(self.first_patch, self.first_patch + len(self.files.frames))
        return patches[np.minimum(frames, len(patches) - 1)]

    def read(self, *, labelled: bool, wave: F32 | None = None, front_end: FrontEnd = VGGISH) -> AVSample:
        """Read everything at the frames' own size, with another sound than its own where one is given.

        Raises:
            DataError: when a file is missing or broken; the line names it.
        """
        frames = _stack(self.files)
        truths = np.zeros(frames.shape[:3], np.uint8)
        for k, path in enumerate(self.files.truths):
            if path is not None:
                truths[k] = _fit(self.read_truth(path), frames.shape[1:3], path)
        return AVSample(
            name=self.facts.name,
            frames=frames,
            patches=self.hear(front_end) if wave is None else self._patches_in(wave, front_end),
            masks=truths > 0,
            has_mask=np.array([path is not None for path in self.files.truths]),
            valid=np.ones(len(frames), bool),
            labels=truths if labelled else None,
        )


def _stack(files: ClipFiles[File]) -> U8:
    frames = [read_frame(path) for path in files.frames]
    for path, frame in zip(files.frames, frames, strict=True):
        if frame.shape != frames[0].shape:
            (h, w), (first_h, first_w) = frame.shape[:2], frames[0].shape[:2]
            raise DataError(f"{path}: is {w} x {h}, the clip's first frame {first_w} x {first_h}")
    return np.stack(frames)


def _fit(truth: U8, size: tuple[int, int], path: File) -> U8:
    """An annotation that is the frame's size, or was stored scaled: then by nearest neighbour.

    Raises:
        DataError: when it has another shape than the frame, so that it cannot be the frame's.
    """
    if truth.shape == size:
        return truth
    (h, w), (frame_h, frame_w) = truth.shape, size
    if abs(h - w * frame_h / frame_w) > 1:
        raise DataError(f"{path}: is {w} x {h}, its frame {frame_w} x {frame_h}: not the same picture")
    return np.asarray(Image.fromarray(truth).resize((frame_w, frame_h), Image.Resampling.NEAREST))
