"""The interface that every data set of clips has."""

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
