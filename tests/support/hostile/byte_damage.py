"""Ways to break bytes, the same ones each time."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

SHARES = (0.001, 0.02, 0.1, 0.2, 0.5, 0.8, 0.95, 0.999)


def cuts(data: bytes) -> Iterator[tuple[str, bytes]]:
    """The first part of it, shorter and longer ones."""
    for share in SHARES:
        yield f"cut at {share:g}", data[: int(share * len(data))]


def flips(data: bytes, count: int, *, within: int | None = None) -> Iterator[tuple[str, bytes]]:
    """Some of its bits turned, one in about 2000, at least 4; ``within``: among its first bytes alone."""
    span = min(within or len(data), len(data))
    where = "" if within is None else f" of the first {within} bytes"
    for seed in range(count):
        rng = np.random.default_rng(seed)
        broken = bytearray(data)
        for place in rng.integers(0, span, max(4, span // 250)):
            broken[place] ^= 1 << int(rng.integers(8))
        yield f"bits turned{where}, draw {seed}", bytes(broken)


def holes(data: bytes) -> Iterator[tuple[str, bytes]]:
    """A stretch of it gone, zeroed, or there twice."""
    third, half = len(data) // 3, len(data) // 2
    yield "a stretch missing", data[:third] + data[half:]
    yield "a stretch of zeros", data[:third] + bytes(half - third) + data[half:]
    yield "a stretch twice", data[:half] + data[third:]
    yield "all of it twice", data + data
    yield "noise behind it", data + np.random.default_rng(7).bytes(5000)
    yield "noise before it", np.random.default_rng(8).bytes(5000) + data


def replaced(data: bytes, old: bytes, new: bytes) -> bytes:
    """With each ``old`` replaced; it must be there."""
    assert old in data
    return data.replace(old, new)


def patched(data: bytes, mark: bytes, offset: int, new: bytes) -> bytes:
    """With ``new`` written ``offset`` bytes behind the end of the first ``mark``."""
    place = data.index(mark) + len(mark) + offset
    return data[:place] + new + data[place + len(new) :]
