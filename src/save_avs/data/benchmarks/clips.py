"""The one reader: a split of any benchmark, as a list of clips that know their files."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
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

    def hear(self) -> F32:
        """Its log-mel patches, f32 [T,96,64], as ``read`` gives them.

        Raises:
            DataError: when the sound is missing or broken.
        """
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

    def patches(self, i: int) -> F32:
        """The log-mel patches of a clip, f32 [T,96,64], without opening its pictures where that can be."""
        return self.entries[i].hear()


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

    def hear(self) -> F32:
        """The patch of each frame, f32 [T,96,64].

        Raises:
            DataError: when the sound is missing or broken.
        """
        return hear(self.files, len(self.files.frames), first=self.first_patch)

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
            patches=self.hear(),
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
