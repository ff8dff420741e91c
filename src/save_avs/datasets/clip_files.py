"""Readers for the files of a clip.

Every reader raises DataError if the file is missing, broken, or not what it should be; the message begins
with the file.
"""

import csv
import io
import math
import pickle
import pickletools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import PurePath
from typing import Any, Generic, TypeVar

import numpy as np
from PIL import Image

from save_avs._text import first_line
from save_avs.audio.frontend import VGGISH, Frontend
from save_avs.audio.log_mel import SAMPLE_RATE, log_mel
from save_avs.datasets.stored_files import StoredFile, open_file, open_image, read_file
from save_avs.errors import DataError, MediaError
from save_avs.types import F32, U8
from save_avs.video.audio_reader import read_audio

MAX_PICKLE_BYTES = 1 << 26
_RGB = (1 << 16, 1 << 8, 1)  # (red, green, blue) to one code

ReadAnnotation = Callable[[Any], U8]  # of a StoredFile
FileT_co = TypeVar("FileT_co", bound=StoredFile, covariant=True)


@dataclass(frozen=True)
class ClipPaths(Generic[FileT_co]):
    """Paths of a clip's files, for readers and writers."""

    frames: tuple[FileT_co, ...]
    annotations: tuple[FileT_co | None, ...]  # of each frame, None where the benchmark has none
    audio: FileT_co


def read_table(path: PurePath, columns: Sequence[str]) -> list[dict[str, str]]:
    """Read the rows of a CSV file that has at least these columns."""
    header, *rows = read_csv(path) or [[]]
    missing = [name for name in columns if name not in header]
    if missing:
        raise DataError(f"{path}: has no column {', '.join(missing)}; is it the benchmark's own file?")
    padding = [""] * len(header)
    return [dict(zip(header, [*row, *padding], strict=False)) for row in rows if row]


def read_csv(path: PurePath) -> list[list[str]]:
    """Read all rows of a CSV file, header included."""
    try:
        return list(csv.reader(io.StringIO(read_file(path).decode("utf-8-sig"), newline="")))
    except FileNotFoundError as error:
        raise DataError(f"{path}: missing") from error
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: cannot be read as a table ({error})") from error


def read_image(file: StoredFile) -> Image.Image:
    """Decode an image in the mode it is stored in."""
    with open_image(file) as image:
        image.load()
        return image


def read_frame(file: StoredFile) -> U8:
    """Read a frame, RGB u8 [H,W,3]."""
    return np.asarray(read_image(file).convert("RGB"))


def read_mask(file: StoredFile) -> U8:
    """Read a mask of any mode, u8 [H,W]: 1 where the stored pixel is not zero, whichever loader saved it.

    Public loaders convert masks to mode '1' or 'P'. Of a palette the index counts; alpha is ignored.
    """
    image = read_image(file)
    if image.mode in {"LA", "PA", "La"}:
        image = image.getchannel(0)
    elif image.mode not in {"1", "L", "P", "I", "F", "I;16", "I;16B", "I;16L"}:
        image = image.convert("RGB")
    pixels = np.asarray(image) != 0
    return (pixels.any(axis=2) if pixels.ndim == 3 else pixels).astype(np.uint8)


@cache
def palette() -> U8:
    """Return the color of every class, u8 [256,3].

    Bits 0, 1, 2 of the index are the highest of R, G and B, bits 3, 4, 5 the next, and so on.

    Source: the palette of PASCAL VOC, which AVSBench-semantic's ``labels_rgb`` uses.
    """
    bits = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1, bitorder="little")  # [256,8]
    return np.concatenate([np.packbits(bits[:, channel::3], axis=1) for channel in range(3)], axis=1)


def read_indices(file: StoredFile, classes: int) -> U8:
    """Read an image of ``labels_semantic``, whose one channel is the class, u8 [H,W]."""
    image = read_image(file)
    if image.mode not in {"L", "P", "1", "I", "I;16"}:
        raise DataError(f"{file}: image of mode {image.mode}; class indices have one channel")
    return _checked_labels(np.asarray(image), file, classes)


def read_colors(file: StoredFile, classes: int, *, foreign_as_background: bool = False) -> U8:
    """Read an image of ``labels_rgb``, whose colors are the palette's, as class indices u8 [H,W].

    With ``foreign_as_background``, colors of no class are background instead of an error.
    """
    rgb = np.asarray(read_image(file).convert("RGB")).astype(np.int64)
    codes = palette().astype(np.int64) @ _RGB
    order = np.argsort(codes)
    pixels = rgb @ _RGB  # [H,W]
    position = np.searchsorted(codes[order], pixels).clip(max=len(order) - 1)
    labels = order[position]
    unknown = codes[labels] != pixels
    if foreign_as_background:
        return np.where(unknown | (labels >= classes), 0, labels).astype(np.uint8)
    if unknown.any():
        r, g, b = rgb[unknown][0]
        raise DataError(f"{file}: color ({r}, {g}, {b}) is not in the palette")
    return _checked_labels(labels, file, classes)


def _checked_labels(labels: np.ndarray, file: StoredFile, classes: int) -> U8:
    if labels.size and labels.max() >= classes:
        raise DataError(f"{file}: label {labels.max()}, but there are {classes} classes")
    return labels.astype(np.uint8)


def read_waveform(file: StoredFile, sample_rate: int = SAMPLE_RATE) -> F32:
    """Read audio as mono at ``sample_rate``, f32 [S]."""
    try:
        with open_file(file) as stream:
            waveform = read_audio(stream, name=str(file), sample_rate=sample_rate)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise DataError(f"{file}: missing") from error
    except OSError as error:
        raise DataError(f"{file}: cannot be read as audio ({error.strerror})") from error
    except MediaError as error:
        raise DataError(str(error)) from error
    if not np.isfinite(waveform).all():
        raise DataError(f"{file}: has samples that are not finite")
    return waveform


def log_mel_per_second(waveform: F32, frontend: Frontend) -> F32:
    """Compute the log-mel patches of a waveform, 0.96 s apart as VGGish's, f32 [N,frames,bands], N >= 1.

    The waveform, mono at the front-end's rate, f32 [S], is padded with silence if it is shorter than a patch.
    """
    shortest = math.ceil(VGGISH.duration * frontend.sample_rate)
    padded = np.pad(waveform, (0, max(0, shortest - len(waveform))))
    return log_mel(padded, frontend.sample_rate, frontend)


class _PlainUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        """Refuse every global, so that no code runs."""
        raise pickle.UnpicklingError(f"it names {module}.{name}, which is never run")


def read_plain_pickle(path: PurePath) -> Any:
    """Read an untrusted pickle of plain values: dictionaries, lists, tuples, strings, numbers."""
    try:
        data = read_file(path, MAX_PICKLE_BYTES + 1)
        if len(data) > MAX_PICKLE_BYTES:
            raise pickle.UnpicklingError(f"larger than {MAX_PICKLE_BYTES >> 20} MiB")
        # A memo slot far beyond the file's length makes the unpickler allocate all those before it.
        for opcode, argument, _ in pickletools.genops(data):
            if opcode.name.endswith("PUT") and int(argument or 0) > len(data):
                raise pickle.UnpicklingError("damaged")
        return _PlainUnpickler(io.BytesIO(data), encoding="utf-8").load()
    except FileNotFoundError as error:
        raise DataError(f"{path}: missing") from error
    # a damaged or hostile pickle may raise anything at all
    except (Exception, RecursionError) as error:
        raise DataError(
            f"{path}: cannot be read as a pickle of plain values ({first_line(error)})"
        ) from error
