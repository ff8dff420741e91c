"""Masks as pixels: one PNG per frame, or one NumPy .npz."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
from numpy.lib import format as npy
from PIL import Image

from save_avs._files import atomic_path
from save_avs.formats.masks_json import MaskDocument


def write_png(folder: Path, document: MaskDocument) -> None:
    """Write each mask as ``000123.png``: 8-bit gray, 0 and 255, named by the frame's index."""
    for frame in document.video_masks:
        with atomic_path(folder / f"{frame.index:06d}.png") as part:
            Image.fromarray(frame.mask.astype(np.uint8) * 255).save(part, compress_level=1)


def write_npz(path: Path, document: MaskDocument) -> None:
    """Write masks bool [T,H,W], indices and source_indices i64 [T], times and scores f64 [T].

    Masks are decoded one by one, so that memory does not grow with the video.
    """
    masks = document.video_masks
    columns = {
        "indices": np.array(masks.indices, np.int64),
        "source_indices": np.array(masks.source_indices, np.int64),
        "times": np.array(masks.times, np.float64),
        "scores": np.array(masks.scores, np.float64),
    }
    header = {"descr": "|b1", "fortran_order": False, "shape": (len(masks), *masks.size)}
    with (
        atomic_path(path) as part,
        zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
    ):
        with archive.open("masks.npy", "w", force_zip64=True) as out:
            npy.write_array_header_1_0(out, header)
            for frame in masks:
                out.write(np.ascontiguousarray(frame.mask).tobytes())
        for name, column in columns.items():
            with archive.open(f"{name}.npy", "w") as out:
                npy.write_array(out, column)
