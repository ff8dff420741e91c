"""What every data set of clips offers, whichever benchmark it is from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from save_avs.audio.frontend import Frontend
from save_avs.types import F32, AVSample


@dataclass(frozen=True)
class ClipMetadata:
    """What a data set says about a clip without opening its files.

    Attributes:
        name: unique within the data set.
        source: the video it was cut from; clips of one source belong in one split.
        categories: what sounds, in the data set's own words, cleaned; empty where it does not say.
    """

    name: str
    source: str
    categories: tuple[str, ...] = ()


class AVDataset(Protocol):
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

    def metadata(self, i: int) -> ClipMetadata:
        """What is known of a clip without opening its files."""
        ...


@runtime_checkable
class WaveformDataset(AVDataset, Protocol):
    """Clips whose sound can be taken out, changed and put back, or given to another front-end."""

    @property
    def sample_rate(self) -> int:
        """Samples a second of its sounds."""
        ...

    def with_frontend(self, frontend: Frontend) -> AVDataset:
        """The same clips with the patches of another front-end."""
        ...

    def waveform(self, i: int) -> F32:
        """The sound of a clip, mono, f32 [S].

        Raises:
            DataError: when it is missing or broken; the line names the file.
        """
        ...

    def read(self, i: int, *, waveform: F32 | None = None) -> AVSample:
        """Read a clip, its patches computed of ``waveform`` where one is given.

        Raises:
            DataError: when a file of it is missing or broken; the line names the file.
        """
        ...


@dataclass(frozen=True)
class DatasetWrapper:
    """A clip set around another, which says all that it does not say itself.

    Attributes:
        clips: the set inside.
    """

    clips: AVDataset

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

    def metadata(self, i: int) -> ClipMetadata:
        """What is known of a clip without opening its files."""
        return self.clips.metadata(i)
