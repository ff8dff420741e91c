"""The files of one clip, and how each kind of them is read; every complaint names the file."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from save_avs.audio.log_mel import PATCH_SAMPLES, SAMPLE_RATE, log_mel
from save_avs.data.tensor_pickle import read_tensor_pickle
from save_avs.errors import DataError, MediaError
from save_avs.media.audio_file import read_audio_file
from save_avs.types import F32, U8

ReadTruth = Callable[[Path], U8]


@dataclass(frozen=True)
class ClipFiles:
    """Where the parts of a clip lie: what a reader opens and a writer fills.

    Attributes:
        frames: the picture of each frame.
        truths: the annotation of each frame, None where the benchmark has none.
        wav: the sound.
        patches: a pickled tensor [N,1,96,64] of the sound's log-mel patches, where the benchmark has one.
    """

    frames: tuple[Path, ...]
    truths: tuple[Path | None, ...]
    wav: Path
    patches: Path | None = None


def read_table(path: Path, columns: Sequence[str]) -> list[dict[str, str]]:
    """Read the rows of a table that has at least these columns.

    Raises:
        DataError: when it is missing, no text, or lacks a column.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            lacking = [name for name in columns if name not in (reader.fieldnames or ())]
            if lacking:
                raise DataError(f"{path}: has no column {', '.join(lacking)}; is it the benchmark's own?")
            return [{key: value or "" for key, value in row.items() if key} for row in reader]
    except FileNotFoundError as error:
        raise DataError(f"{path}: missing") from error
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: cannot be read as a table ({error})") from error


def read_picture(path: Path) -> Image.Image:
    """Decode a whole picture, in whatever mode it is stored.

    Raises:
        DataError: when it is missing or broken.
    """
    try:
        with Image.open(path) as image:
            image.load()
            return image
    except FileNotFoundError as error:
        raise DataError(f"{path}: missing") from error
    except UnidentifiedImageError as error:
        raise DataError(f"{path}: is no picture") from error
    # Pillow's decoders raise SyntaxError, struct.error and more for torn files
    except Exception as error:
        raise DataError(f"{path}: cannot be read as a picture ({_first_line(error)})") from error


def read_frame(path: Path) -> U8:
    """Read a frame, RGB u8 [H,W,3].

    Raises:
        DataError: when it is missing or broken.
    """
    return np.asarray(read_picture(path).convert("RGB"))


def read_mask(path: Path) -> U8:
    """Read a mask of any mode, u8 [H,W]: 1 where the stored pixel is not zero, whichever loader saved it.

    Public loaders convert masks to mode '1' or 'P'; of a palette the index counts, of transparency nothing.

    Raises:
        DataError: when it is missing or broken.
    """
    image = read_picture(path)
    if image.mode in {"LA", "PA", "La"}:
        image = image.getchannel(0)
    elif image.mode not in {"1", "L", "P", "I", "F", "I;16", "I;16B", "I;16L"}:
        image = image.convert("RGB")
    pixels = np.asarray(image) != 0
    return (pixels.any(axis=2) if pixels.ndim == 3 else pixels).astype(np.uint8)


def read_patches(path: Path) -> F32:
    """Read a pickled tensor of log-mel patches, f32 [N,96,64].

    Raises:
        DataError: when it is missing, broken, or anything else than such a tensor.
    """
    tensor = read_tensor_pickle(path)
    if tensor.ndim != 4 or tensor.shape[1:] != (1, 96, 64) or not len(tensor):
        raise DataError(f"{path}: holds a tensor {list(tensor.shape)} in place of [N,1,96,64]")
    return tensor[:, 0]


def read_wav(path: Path) -> F32:
    """Read a sound, mono at 16 kHz, f32 [S].

    Raises:
        DataError: when it is missing or broken.
    """
    if not path.exists():
        raise DataError(f"{path}: missing")
    try:
        return read_audio_file(path, rate=SAMPLE_RATE)
    except MediaError as error:
        raise DataError(str(error)) from error


def hear_wav(path: Path) -> F32:
    """Compute a sound's VGGish patches, one every 0.96 s from its start, f32 [N,96,64], N at least 1.

    Raises:
        DataError: when the sound is missing or broken.
    """
    wave = read_wav(path)
    return log_mel(np.pad(wave, (0, max(0, PATCH_SAMPLES - len(wave)))), SAMPLE_RATE)


def hear(files: ClipFiles, count: int, *, first: int = 0) -> F32:
    """The patches ``first`` to ``first + count`` of a clip's sound, f32 [count,96,64].

    They come from the pickle; where there is none, or a broken one, from the wav. A sound that is short
    repeats its last patch, as the benchmark's own files do.

    Raises:
        DataError: when neither can be read.
    """
    patches = None
    if files.patches is not None and files.patches.exists():
        try:
            patches = read_patches(files.patches)
        except DataError:
            patches = None  # `save-avs data check` names it; the wav says the same
    patches = hear_wav(files.wav) if patches is None else patches
    return patches[np.minimum(np.arange(first, first + count), len(patches) - 1)]


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)
