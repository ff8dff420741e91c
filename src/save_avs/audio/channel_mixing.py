"""Mixing audio channels: any layout to mono, stereo, or one that AAC players support."""

from functools import lru_cache

import numpy as np

from save_avs.types import F32

# Channels of the layouts with a standard configuration in AAC, which any player supports.
AAC_LAYOUTS: dict[str, tuple[str, ...]] = {
    "mono": ("FC",),
    "stereo": ("FL", "FR"),
    "3.0": ("FL", "FR", "FC"),
    "4.0": ("FL", "FR", "FC", "BC"),
    "5.0": ("FL", "FR", "FC", "BL", "BR"),
    "5.1": ("FL", "FR", "FC", "LFE", "BL", "BR"),
}


def aac_layout(layout: str) -> str:
    """Choose the layout to write: that of the source if AAC players support it, else stereo."""
    name = layout.removesuffix("(side)")
    return name if name in AAC_LAYOUTS else "stereo"


@lru_cache(maxsize=64)
def mix_matrix(source: tuple[str, ...], target: str) -> F32:
    """Mixing weights [T,S] from S source channels to the T channels of a layout of ``AAC_LAYOUTS``.

    Mono is the mean of all channels, as VGGish and AVSBench compute it. Stereo follows ITU-R BS.775 (center
    and surrounds at -3 dB into each side, the low-frequency channel left out), scaled so that no sum can
    exceed full scale. Other targets take the channels of the same name.
    """
    names = AAC_LAYOUTS[target]
    source = _as_back(source)
    if source == names:
        return np.eye(len(names), dtype=np.float32)
    if target == "mono":
        return np.full((1, len(source)), 1 / len(source), dtype=np.float32)
    if target == "stereo":
        sides = np.array([_sides(name) for name in source], dtype=np.float64).T  # [2,S]
        if not sides.any():
            sides[:] = 1
        return (sides / sides.sum(axis=1).max()).astype(np.float32)
    return np.array([[float(a == b) for b in source] for a in names], dtype=np.float32)


def _as_back(names: tuple[str, ...]) -> tuple[str, ...]:
    """Treat side channels as back channels in layouts without back channels."""
    if "BL" in names or "BR" in names:
        return names
    return tuple({"SL": "BL", "SR": "BR"}.get(name, name) for name in names)


def _sides(name: str) -> tuple[float, float]:
    """Weights of a channel in the left and right channel."""
    if name.startswith("LFE"):
        return 0.0, 0.0
    level = 1.0 if name in ("FL", "FR") else 0.5**0.5
    return 0.0 if name.endswith("R") else level, 0.0 if name.endswith("L") else level
