"""Masks as one PNG a frame."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from save_avs.media.atomic import aside
from save_avs.render.formats.maskset import MaskSet


def write_png(folder: Path, masks: MaskSet) -> None:
    """Write each mask as ``000123.png``: 8-bit grey, 0 and 255, named by the frame's index."""
    for i, index in enumerate(masks.track.indices):
        with aside(folder / f"{index:06d}.png") as part:
            Image.fromarray(masks.track.mask(i).astype(np.uint8) * 255).save(part, compress_level=1)
