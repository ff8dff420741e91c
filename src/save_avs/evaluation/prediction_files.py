"""Files with the predicted mask of one frame: PNG and NPZ, read and written."""

import math
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray
from PIL import Image

from save_avs._files import open_regular
from save_avs._text import first_line
from save_avs.datasets.clip_files import read_indices
from save_avs.datasets.stored_files import open_image
from save_avs.errors import DataError
from save_avs.models.preprocess import MASK_THRESHOLD
from save_avs.types import F32, U8

PngContent = Literal["mask", "probability", "labels"]  # of 8-bit PNGs; 16-bit ones are probabilities
MaskForm = Literal["mask", "probs", "logits"]
PNG_CONTENTS: tuple[PngContent, ...] = ("mask", "probability", "labels")
SUFFIXES = (".png", ".npz")

_FORMS: tuple[MaskForm, ...] = ("logits", "probs", "mask")  # arrays of an NPZ, one of which it has
_LABELS = "labels"
_FULL = 2**16 - 1
_WIDE_MODES = ("I", "I;16", "I;16B", "I;16L")  # how Pillow opens 16-bit gray
_MAX_BYTES = 1 << 28


class MaskHeader(NamedTuple):
    """What a file holds, without its pixels."""

    shape: tuple[int, int]
    form: MaskForm
    has_labels: bool


class StoredMask(NamedTuple):
    """A predicted mask f32 [h,w], 0 or 1, probabilities or logits; and class labels u8, where it has them."""

    values: F32
    form: MaskForm
    labels: U8 | None


def read_header(path: Path, content: PngContent) -> MaskHeader:
    """Read what a file holds, without decoding its pixels; a DataError if it is broken or of another kind."""
    if path.suffix == ".npz":
        return _npz_header(path)
    with _open_gray(path) as image:
        form = "probs" if image.mode in _WIDE_MODES or content == "probability" else "mask"
        labeled = content == "labels" and image.mode not in _WIDE_MODES
        return MaskHeader((image.height, image.width), form, labeled)


def read_mask_file(path: Path, content: PngContent, classes: int) -> StoredMask:
    """Read a predicted mask from an NPZ, or from a PNG, of which ``content`` says what it holds at 8 bits.

    A DataError if it is broken, or its values, of labels those of ``classes``, are not what they should be.
    """
    if path.suffix == ".npz":
        return _read_npz(path, classes)
    if content == "labels":
        labels = read_indices(path, classes)
        return StoredMask((labels > 0).astype(np.float32), "mask", labels)
    with _open_gray(path) as image:
        pixels, wide = np.asarray(image), image.mode in _WIDE_MODES
    if wide or content == "probability":
        return StoredMask((pixels / (_FULL if wide else 255)).astype(np.float32), "probs", None)
    levels = np.unique(pixels)
    if len(levels) > 2 or (len(levels) == 2 and levels[0] != 0):
        raise DataError(
            f"{path}: has {len(levels)} gray levels, so it is no mask: "
            "say what it is by --masks-hold probability or labels"
        )
    return StoredMask((pixels != 0).astype(np.float32), "mask", None)


def write_npz(path: Path, logits: F32, labels: U8 | None) -> None:
    """Write logits as they are, and labels."""
    arrays = {"logits": logits} | ({} if labels is None else {_LABELS: labels})
    np.savez_compressed(path, allow_pickle=False, **arrays)


def write_png(path: Path, probs: F32, *, binary: bool) -> None:
    """Write the pixels above 0.5 as 255, 8-bit gray; or probabilities in steps of 1 / 65,535, 16-bit gray."""
    if binary:
        pixels = (probs > MASK_THRESHOLD).astype(np.uint8) * 255
    else:
        pixels = np.round(probs.astype(np.float64) * _FULL).astype(np.uint16)
    Image.fromarray(pixels).save(path)


@contextmanager
def _open_gray(path: Path) -> Iterator[Image.Image]:
    with open_image(path) as image:
        if image.mode not in {"1", "L", "P", *_WIDE_MODES}:
            raise DataError(f"{path}: image of mode {image.mode}; a predicted mask has one channel")
        yield image


def _npz_header(path: Path) -> MaskHeader:
    """Read shape and type of each array; they are checked against the size of the file."""
    arrays = {}
    try:
        with open_regular(path) as file, zipfile.ZipFile(file) as archive:
            for info in archive.infolist():
                with archive.open(info) as member:
                    arrays[info.filename.removesuffix(".npy")] = _array_header(member, info.file_size)
    except (OSError, ValueError, zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError) as error:
        raise DataError(f"{path}: cannot be read as NPZ ({first_line(error)})") from error
    forms: list[MaskForm] = [form for form in _FORMS if form in arrays]
    if len(forms) != 1:
        raise DataError(f"{path}: must hold one array named logits, probs or mask, has {', '.join(arrays)}")
    full = arrays[forms[0]]
    shape = full[1:] if len(full) == 3 and full[0] == 1 else full
    if len(shape) != 2 or 0 in shape:
        raise DataError(f"{path}: '{forms[0]}' must be [height, width], is {list(full)}")
    return MaskHeader((shape[0], shape[1]), forms[0], _LABELS in arrays)


def _array_header(member: Any, size: int) -> tuple[int, ...]:
    version = npy.read_magic(member)
    read = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}.get(version)
    if read is None:
        raise ValueError(f"array format {version}")
    shape, _, dtype = read(member)
    if dtype.hasobject or math.prod(shape) * dtype.itemsize > min(size, _MAX_BYTES):
        raise ValueError("an array of objects, or larger than its file")
    return shape


def _read_npz(path: Path, classes: int) -> StoredMask:
    shape, form, _ = _npz_header(path)
    try:
        with np.load(path, allow_pickle=False) as arrays:
            values = arrays[form].reshape(shape)
            labels = arrays[_LABELS] if _LABELS in arrays.files else None
    except Exception as error:  # damaged archives raise anything: zlib.error, struct.error, ...
        raise DataError(f"{path}: cannot be read as NPZ ({first_line(error)})") from error
    return StoredMask(_checked(path, values, form), form, _checked_labels(path, labels, classes))


def _checked(path: Path, values: NDArray[Any], form: MaskForm) -> F32:
    if form == "mask":
        return (values != 0).astype(np.float32)
    values = values.astype(np.float32)
    if np.isnan(values).any():
        raise DataError(f"{path}: '{form}' has values that are not numbers")
    if form == "probs" and (values.min() < 0 or values.max() > 1):
        raise DataError(f"{path}: 'probs' must be in 0..1; logits belong in an array named 'logits'")
    return values


def _checked_labels(path: Path, labels: NDArray[Any] | None, classes: int) -> U8 | None:
    if labels is None or not classes:
        return None
    if labels.ndim != 2 or not np.issubdtype(labels.dtype, np.integer) or 0 in labels.shape:
        raise DataError(f"{path}: 'labels' must be integers [height, width]")
    if labels.min() < 0 or labels.max() >= classes:
        raise DataError(f"{path}: label {labels.max()}, but there are {classes} classes")
    return labels.astype(np.uint8)
