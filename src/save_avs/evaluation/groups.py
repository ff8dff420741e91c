"""Which clips are scored together: by category, and by how many objects sound."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from save_avs.datasets.base import ClipMetadata
from save_avs.types import I64

UNKNOWN = "not known"


def by_category(metadata: Sequence[ClipMetadata]) -> dict[str, I64]:
    """Clips of each category, in alphabetical order; a clip of several is in each of them."""
    names = sorted({name for fact in metadata for name in fact.categories})
    return {name: _where([name in fact.categories for fact in metadata]) for name in names}


def by_objects(metadata: Sequence[ClipMetadata], labeled: Mapping[int, int]) -> dict[str, I64]:
    """Clips by the number of kinds of objects that sound in view.

    The data set's own words count first; where it has none, the classes that the labels of a clip's scored
    frames show.

    Args:
        metadata: of the clips.
        labeled: for a clip's place among them, its classes by the labels.
    """
    counts = [_count(fact, labeled.get(i)) for i, fact in enumerate(metadata)]
    return {name: _where([count == name for count in counts]) for name in sorted(set(counts))}


def _count(fact: ClipMetadata, labeled: int | None) -> str:
    if fact.categories:
        return str(len(set(fact.categories)))
    return UNKNOWN if labeled is None else str(labeled)


def _where(kept: list[bool]) -> I64:
    return np.flatnonzero(kept)
