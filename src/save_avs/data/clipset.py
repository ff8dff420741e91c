"""What every data set of clips offers, whichever benchmark it is from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from save_avs.audio.front_end import FrontEnd
from save_avs.types import F32, AVSample


@dataclass(frozen=True)
class ClipFacts:
    """What a data set says about a clip without opening its files.

    Attributes:
        name: unique within the data set.
        source: the video it was cut from; clips of one source belong in one split.
        categories: what sounds, in the data set's own words, cleaned; empty where it does not say.
    """

    name: str
    source: str
    categories: tuple[str, ...] = ()


class ClipSet(Protocol):
    """One split of a data set: clips by index."""

    @property
    def name(self) -> str:
        """Name of the data set: ``s4``, ``ms3``, ..."""
        ...

    @property
    def split(self) -> str:
        """``train``, ``val`` or ``test``."""
        ...

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the labels that ``AVSample.labels`` counts, background first; empty without labels."""
        ...

    def __len__(self) -> int:
        """Number of clips."""
        ...

    def __getitem__(self, i: int) -> AVSample:
        """Read a clip at its own size.

        Raises:
            DataError: when a file of it is missing or broken; the line names the file.
        """
        ...

    def facts(self, i: int) -> ClipFacts:
        """What is known of a clip without opening its files."""
        ...


@runtime_checkable
class AudibleClips(ClipSet, Protocol):
    """Clips whose sound can be taken out, changed and put back, or given to another front-end."""

    @property
    def rate(self) -> int:
        """Samples a second of its sounds."""
        ...

    def heard_by(self, front_end: FrontEnd) -> ClipSet:
        """The same clips with the patches of another front-end."""
        ...

    def wave(self, i: int) -> F32:
        """The sound of a clip, mono, f32 [S].

        Raises:
            DataError: when it is missing or broken; the line names the file.
        """
        ...

    def read(self, i: int, *, wave: F32 | None = None) -> AVSample:
        """Read a clip, its patches computed of ``wave`` where one is given.

        Raises:
            DataError: when a file of it is missing or broken; the line names the file.
        """
        ...


@dataclass(frozen=True)
class Wrapped:
    """A clip set around another, which says all that it does not say itself.

    Attributes:
        clips: the set inside.
    """

    clips: ClipSet

    @property
    def name(self) -> str:
        """Name of the data set."""
        return self.clips.name

    @property
    def split(self) -> str:
        """``train``, ``val`` or ``test``."""
        return self.clips.split

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the labels, background first."""
        return self.clips.classes

    def __len__(self) -> int:
        return len(self.clips)

    def facts(self, i: int) -> ClipFacts:
        """What is known of a clip without opening its files."""
        return self.clips.facts(i)
