"""Strategies of hypothesis: documents that are none, and whole ones in which one thing was changed."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st

BOUNDED = settings(max_examples=100, deadline=None, derandomize=True)

_ODD = [
    -1,
    2**31,
    2**63,
    10**30,
    0.5,
    float("nan"),
    float("inf"),
    "",
    "0",
    "../../x",
    "a\0b",
    "\ud800",
    "\x1b\n",
]
LEAVES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.sampled_from(_ODD)
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every list or object within, with each index or key of it."""
    keys = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in keys:
        yield value, key
        yield from _places(value[key])


@st.composite
def spoiled(draw: st.DrawFn, document: Any) -> Any:
    """The document with one value replaced, left out, or under another key."""
    changed = copy.deepcopy(document)
    within, key = draw(st.sampled_from(list(_places(changed))))
    match draw(st.sampled_from(["replaced", "gone", "moved"])):
        case "moved" if isinstance(within, dict):
            within[draw(st.text(max_size=5))] = within.pop(key)
        case "gone":
            del within[key]
        case _:
            within[key] = draw(VALUES)
    return changed


def documents(whole: Any) -> st.SearchStrategy[bytes]:
    """JSON of any value and of the document spoiled; and bytes."""
    spelled = (VALUES | spoiled(whole)).map(lambda value: json.dumps(value).encode())
    return spelled | st.binary(max_size=20)


@st.composite
def damaged(draw: st.DrawFn, whole: bytes) -> bytes:
    """The bytes cut, or some of them replaced, or others put among them."""
    at = draw(st.integers(0, len(whole) - 1))
    new = draw(st.binary(max_size=8) | st.sampled_from([b"\xff" * 8, bytes(8)]))
    return draw(
        st.sampled_from(
            [whole[:at], whole[:at] + new + whole[at + len(new) :], whole[:at] + new + whole[at:]]
        )
    )
