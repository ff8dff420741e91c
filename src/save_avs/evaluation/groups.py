"""Which clips are scored together: by category, and by how many objects sound."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from save_avs.data.clipset import ClipFacts
from save_avs.types import I64

UNKNOWN = "not known"


def by_category(facts: Sequence[ClipFacts]) -> dict[str, I64]:
    """Clips of each category, in alphabetical order; a clip of several is in each of them."""
    names = sorted({name for fact in facts for name in fact.categories})
    return {name: _where([name in fact.categories for fact in facts]) for name in names}


def by_objects(facts: Sequence[ClipFacts], labelled: Mapping[int, int]) -> dict[str, I64]:
    """Clips by the number of kinds of objects that sound in view.

    The data set's own words count first; where it has none, the classes that the labels of a clip's scored
    frames show.

    Args:
        facts: of the clips.
        labelled: for a clip's place among them, its classes by the labels.
    """
    counts = [_count(fact, labelled.get(i)) for i, fact in enumerate(facts)]
    return {name: _where([count == name for count in counts]) for name in sorted(set(counts))}


def _count(fact: ClipFacts, labelled: int | None) -> str:
    if fact.categories:
        return str(len(set(fact.categories)))
    return UNKNOWN if labelled is None else str(labelled)


def _where(kept: list[bool]) -> I64:
    return np.flatnonzero(kept)
