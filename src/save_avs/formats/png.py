"""Masks as one PNG a frame."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from save_avs._files import atomic_path
from save_avs.formats.maskset import MaskDocument


def write_png(folder: Path, masks: MaskDocument) -> None:
    """Write each mask as ``000123.png``: 8-bit gray, 0 and 255, named by the frame's index."""
    for i, index in enumerate(masks.video_masks.indices):
        with atomic_path(folder / f"{index:06d}.png") as part:
            Image.fromarray(masks.video_masks.mask(i).astype(np.uint8) * 255).save(part, compress_level=1)
