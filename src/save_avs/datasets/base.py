"""The interface that every data set of clips has, and wrappers that keep it."""

from dataclasses import dataclass
from typing import Protocol

from save_avs.types import AVSample


@dataclass(frozen=True)
class ClipMetadata:
    """Description of a clip that needs none of its files."""

    name: str  # unique within the data set
    source: str  # the video it was cut from; clips of one source belong in one split
    # sounding classes, as the data set names them (cleaned); empty where it does not say
    categories: tuple[str, ...] = ()


class AVDataset(Protocol):
    """One split of a data set, by index; a map-style data set for ``torch.utils.data.DataLoader``."""

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
        """Names of the classes in ``AVSample.labels``, background first; empty without labels."""
        ...

    def __len__(self) -> int:
        """Return the number of clips."""
        ...

    def __getitem__(self, i: int) -> AVSample:
        """Read a clip at its own size.

        Raises:
            DataError: a file is missing or broken; the message names it.
        """
        ...

    def metadata(self, i: int) -> ClipMetadata:
        """Describe a clip without opening its files."""
        ...

    def num_annotated(self, i: int) -> int | None:
        """Count the annotated frames of a clip without opening its files; None for a video."""
        ...


@dataclass(frozen=True)
class DatasetWrapper:
    """A data set around another; everything but the samples is passed through."""

    clips: AVDataset  # the data set inside

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
        """Names of the classes, background first."""
        return self.clips.classes

    def __len__(self) -> int:
        return len(self.clips)

    def metadata(self, i: int) -> ClipMetadata:
        """Describe a clip without opening its files."""
        return self.clips.metadata(i)

    def num_annotated(self, i: int) -> int | None:
        """Count the annotated frames of a clip without opening its files; None for a video."""
        return self.clips.num_annotated(i)
