"""Masks as pixels: one PNG per frame, or one NumPy .npz; logits as PNGs."""

import zipfile
from collections.abc import Callable, Sequence
from colorsys import hsv_to_rgb
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from save_avs._files import atomic_path
from save_avs.formats.masks_json import MaskDocument
from save_avs.types import F32, FrameObjects, VideoMasks

_PALETTE_IDS, _GRAY_IDS = 255, 65535
_EDGE = 24  # a logit of 3, rounded up from that of 0.95


def write_png(folder: Path, document: MaskDocument) -> None:
    """Write each mask as ``000123.png``, named by the frame's index: 8-bit gray, 0 and 255.

    Objects are label images: pixel values are their ids, or their ranks by area where they have none. They
    have a palette, in which 0 is black; or 16 bits of gray in all frames where an id does not fit in 8.
    """
    masks = document.video_masks
    numbers = [each.id or 0 for frame in masks.objects or () for each in frame]
    deep = max(numbers, default=0) > _PALETTE_IDS
    for i, index in enumerate(masks.indices):
        if masks.objects is None:
            image = Image.fromarray(masks.mask(i).astype(np.uint8) * 255)
        else:
            labels = _label_image(masks, i)
            image = Image.fromarray(labels if deep else labels.astype(np.uint8))
            if not deep:
                image.putpalette(_label_palette())
        with atomic_path(folder / f"{index:06d}.png") as part:
            image.save(part, compress_level=1)


def _label_image(masks: VideoMasks, i: int) -> NDArray[np.uint16]:
    """Return the number of the object at each pixel, u16 [H,W], 0 for none; beyond 65535 again from 1 on."""
    labels = np.zeros(masks.size, np.uint16)
    for rank, found in enumerate(masks.objects[i] if masks.objects else (), start=1):
        labels[found.mask] = ((found.id or rank) - 1) % _GRAY_IDS + 1
    return labels


def write_logits(path: Path, logits: F32) -> None:
    """Write the logits of a frame, f32 [M,M], as 8-bit gray: 128 + 8 x logit.

    Upscaled bilinearly to the frame, they give its mask at any threshold from 0.05 to 0.95. Cells that all
    such thresholds leave out, or mark, together with the cells around them, are 0, or 255: the file is small.
    """
    levels = np.clip(np.rint(8 * logits) + 128, 0, 255).astype(np.uint8)
    image = Image.fromarray(levels)
    levels[np.asarray(image.filter(ImageFilter.MaxFilter(3))) < 128 - _EDGE] = 0
    levels[np.asarray(image.filter(ImageFilter.MinFilter(3))) > 128 + _EDGE] = 255
    with atomic_path(path) as part:
        Image.fromarray(levels).save(part)


@lru_cache(maxsize=1)
def _label_palette() -> bytes:
    """Colors for 256 labels, RGB, 0 black: hues a golden ratio apart, so that near ids differ."""
    colors = [hsv_to_rgb(number * 0.618034 % 1, 0.85, 1 - 0.3 * (number % 2)) for number in range(1, 256)]
    return bytes(3) + bytes(round(255 * channel) for color in colors for channel in color)


def write_npz(path: Path, document: MaskDocument) -> None:
    """Write masks bool [T,H,W], indices and source_indices i64 [T], times and scores f64 [T].

    Objects are label images, labels u16 [T,H,W], as in PNGs, and a table: object_frames, the position of each
    object's frame, object_ids, 0 without tracking, object_boxes (left, top, width, height) and object_scores.
    Masks are decoded one by one, so that memory does not grow with the video.
    """
    masks = document.video_masks
    columns = {
        "indices": np.array(masks.indices, np.int64),
        "source_indices": np.array(masks.source_indices, np.int64),
        "times": np.array(masks.times, np.float64),
        "scores": np.array(masks.scores, np.float64),
    }
    with (
        atomic_path(path) as part,
        zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
    ):
        _write_images(archive, "masks", "|b1", masks, masks.mask)
        if masks.objects is not None:
            _write_images(archive, "labels", "<u2", masks, lambda i: _label_image(masks, i))
            columns |= _object_columns(masks.objects)
        for name, column in columns.items():
            with archive.open(f"{name}.npy", "w") as out:
                npy.write_array(out, column)


def _write_images(
    archive: zipfile.ZipFile, name: str, dtype: str, masks: VideoMasks, image: Callable[[int], NDArray[Any]]
) -> None:
    """Write an array [T,H,W], image by image."""
    header = {"descr": dtype, "fortran_order": False, "shape": (len(masks), *masks.size)}
    with archive.open(f"{name}.npy", "w", force_zip64=True) as out:
        npy.write_array_header_1_0(out, header)
        for i in range(len(masks)):
            out.write(np.ascontiguousarray(image(i), dtype).tobytes())


def _object_columns(objects: Sequence[FrameObjects]) -> dict[str, NDArray[Any]]:
    rows = [(i, each) for i, frame in enumerate(objects) for each in frame]
    return {
        "object_frames": np.array([i for i, _ in rows], np.int64),
        "object_ids": np.array([each.id or 0 for _, each in rows], np.int64),
        "object_boxes": np.array([each.box for _, each in rows], np.int64).reshape(-1, 4),
        "object_scores": np.array([each.score for _, each in rows], np.float64),
    }
