"""The layouts that the composer writes, by name, and whose pictures and sounds each takes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from save_avs.data.corpus import Split
from save_avs.data.writers.avss import write_avss
from save_avs.data.writers.ms3 import write_ms3
from save_avs.data.writers.s4 import write_s4
from save_avs.data.writers.stills import Order
from save_avs.data.writers.synthetic import write_synthetic
from save_avs.data.writers.v3 import write_v3


@dataclass(frozen=True)
class Writer:
    """A layout.

    Attributes:
        write: writes an order into a new folder.
        splits: that it can have.
        whole: it makes sense with all of its splits only.
    """

    write: Callable[[Order, str | Path], Path]
    splits: tuple[Split, ...] = ("train", "val", "test")
    whole: bool = False


WRITERS: dict[str, Writer] = {
    "s4": Writer(write_s4),
    "ms3": Writer(write_ms3),
    "avss": Writer(write_avss),
    "v3": Writer(write_v3, ("train", "val", "zero-shot"), whole=True),
    "synthetic": Writer(write_synthetic),
}
