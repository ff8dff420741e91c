"""Masks as NumPy arrays in one .npz."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
from numpy.lib import format as npy

from save_avs._files import atomic_path
from save_avs.formats.maskset import MaskDocument


def write_npz(path: Path, masks: MaskDocument) -> None:
    """Write masks bool [T,H,W], indices i64 [T], times f64 [T] and scores f64 [T], whole or not at all.

    Masks are decoded one by one, so that the memory does not grow with the video.
    """
    video_masks = masks.video_masks
    columns = {
        "indices": np.array(video_masks.indices, np.int64),
        "times": np.array(video_masks.times, np.float64),
        "scores": np.array(video_masks.scores, np.float64),
    }
    head = {"descr": "|b1", "fortran_order": False, "shape": (len(video_masks), *video_masks.size)}
    with (
        atomic_path(path) as part,
        zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
    ):
        with archive.open("masks.npy", "w", force_zip64=True) as out:
            npy.write_array_header_1_0(out, head)
            for i in range(len(video_masks)):
                out.write(np.ascontiguousarray(video_masks.mask(i)).tobytes())
        for name, column in columns.items():
            with archive.open(f"{name}.npy", "w") as out:
                npy.write_array(out, column)
