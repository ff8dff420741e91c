"""The layouts that the composer writes, by name, and whose pictures and sounds each takes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from save_avs.synthesis.corpus import CorpusSplit
from save_avs.synthesis.layouts.avss import write_avss
from save_avs.synthesis.layouts.ms3 import write_ms3
from save_avs.synthesis.layouts.s4 import write_s4
from save_avs.synthesis.layouts.stills import LayoutRequest
from save_avs.synthesis.layouts.synthetic import write_synthetic
from save_avs.synthesis.layouts.v3 import write_v3


@dataclass(frozen=True)
class LayoutWriter:
    """A layout.

    Attributes:
        write: writes an order into a new folder.
        splits: that it can have.
        whole: it makes sense with all of its splits only.
    """

    write: Callable[[LayoutRequest, str | Path], Path]
    splits: tuple[CorpusSplit, ...] = ("train", "val", "test")
    whole: bool = False


LAYOUT_WRITERS: dict[str, LayoutWriter] = {
    "s4": LayoutWriter(write_s4),
    "ms3": LayoutWriter(write_ms3),
    "avss": LayoutWriter(write_avss),
    "v3": LayoutWriter(write_v3, ("train", "val", "zero-shot"), whole=True),
    "synthetic": LayoutWriter(write_synthetic),
}
