"""The one reader: a split of any benchmark, as a list of clips that know their files."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from save_avs.data.benchmarks.files import (
    ClipFiles,
    ReadTruth,
    hear,
    read_frame,
    read_mask,
    read_patches,
    read_wav,
)
from save_avs.data.clipset import ClipFacts
from save_avs.errors import DataError
from save_avs.types import U8, AVSample

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
    path: Path
    read: Callable[[Path], Any]


class Entry(Protocol):
    """A clip that has not been opened yet."""

    @property
    def facts(self) -> ClipFacts:
        """What is known of it already."""
        ...

    def parts(self) -> Iterator[Part]:
        """Its files, one by one."""
        ...

    def read(self, *, labelled: bool) -> AVSample:
        """Open its files; with ``labelled`` the sample carries the class of each pixel.

        Raises:
            DataError: when a file is missing or broken; the line names it.
        """
        ...


@dataclass(frozen=True)
class Clips:
    """One split of a data set; a :class:`save_avs.data.clipset.ClipSet`.

    Attributes:
        name: of the data set.
        split: ``train``, ``val`` or ``test``.
        classes: names of the labels, background first; empty where there are only masks.
        entries: the clips, in the order of the benchmark's own table.
    """

    name: str
    split: str
    classes: tuple[str, ...]
    entries: Sequence[Entry]

    def __len__(self) -> int:
        return len(self.entries)

    def __getitem__(self, i: int) -> AVSample:
        return self.entries[i].read(labelled=bool(self.classes))

    def facts(self, i: int) -> ClipFacts:
        """What is known of a clip without opening its files."""
        return self.entries[i].facts


@dataclass(frozen=True)
class Stills:
    """A clip stored as pictures, annotations of some of them, and a sound.

    Attributes:
        facts: what the table says.
        files: where its parts lie. Frame k belongs to VGGish patch ``first_patch`` + k.
        read_truth: reads an annotation, u8 [H,W], 0 for the background.
        first_patch: the patch of the first frame.
    """

    facts: ClipFacts
    files: ClipFiles
    read_truth: ReadTruth = read_mask
    first_patch: int = 0

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

    def read(self, *, labelled: bool) -> AVSample:
        """Read everything at the frames' own size.

        Raises:
            DataError: when a file is missing or broken; the line names it.
        """
        frames = _stack(self.files)
        truths = np.zeros(frames.shape[:3], np.uint8)
        for k, path in enumerate(self.files.truths):
            if path is not None:
                truths[k] = _fit(self.read_truth(path), frames.shape[1:3])
        return AVSample(
            name=self.facts.name,
            frames=frames,
            patches=hear(self.files, len(frames), first=self.first_patch),
            masks=truths > 0,
            has_mask=np.array([path is not None for path in self.files.truths]),
            valid=np.ones(len(frames), bool),
            labels=truths if labelled else None,
        )


def _stack(files: ClipFiles) -> U8:
    frames = [read_frame(path) for path in files.frames]
    for path, frame in zip(files.frames, frames, strict=True):
        if frame.shape != frames[0].shape:
            (h, w), (first_h, first_w) = frame.shape[:2], frames[0].shape[:2]
            raise DataError(f"{path}: is {w} x {h}, the clip's first frame {first_w} x {first_h}")
    return np.stack(frames)


def _fit(truth: U8, size: tuple[int, int]) -> U8:
    """Bring an annotation that was stored at another size than the frames to theirs, by nearest neighbour."""
    if truth.shape == size:
        return truth
    return np.asarray(Image.fromarray(truth).resize((size[1], size[0]), Image.Resampling.NEAREST))


@dataclass(frozen=True)
class Padded:
    """Clips brought to one length with black, silent frames that are neither valid nor annotated.

    The benchmark's own AVSS loader pads clips of 5 frames to 10 and scores the padding: who wants its
    figures wraps the clips in this and counts the frames that are not ``valid``. Nobody else does.

    Attributes:
        clips: any clip set.
        frames: length in frames; longer clips stay as they are.
    """

    clips: Clips
    frames: int = 10

    @property
    def name(self) -> str:
        """Of the data set."""
        return self.clips.name

    @property
    def split(self) -> str:
        """The split."""
        return self.clips.split

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the labels."""
        return self.clips.classes

    def __len__(self) -> int:
        return len(self.clips)

    def __getitem__(self, i: int) -> AVSample:
        sample = self.clips[i]
        return AVSample(
            name=sample.name,
            frames=self._pad(sample.frames),
            patches=self._pad(sample.patches),
            masks=self._pad(sample.masks),
            has_mask=self._pad(sample.has_mask),
            valid=self._pad(sample.valid),
            labels=None if sample.labels is None else self._pad(sample.labels),
            features=None if sample.features is None else self._pad(sample.features),
        )

    def facts(self, i: int) -> ClipFacts:
        """What is known of a clip without opening its files."""
        return self.clips.facts(i)

    def _pad(self, values: NDArray[Any]) -> NDArray[Any]:
        missing = max(0, self.frames - len(values))
        return np.pad(values, [(0, missing)] + [(0, 0)] * (values.ndim - 1))
