"""The files of one clip, and how each kind of them is read; every complaint names the file."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
from PIL import Image

from save_avs.audio.frontend import VGGISH, Frontend
from save_avs.audio.log_mel import SAMPLE_RATE, log_mel
from save_avs.datasets.images import open_image
from save_avs.datasets.storage import CorruptShardError, StoredFile, open_file
from save_avs.datasets.tensor_pickle import read_tensor_pickle
from save_avs.errors import DataError, MediaError
from save_avs.types import F32, U8
from save_avs.video.audio_reader import read_audio

ReadAnnotation = Callable[[Any], U8]  # of a File

FileT_co = TypeVar("FileT_co", bound=StoredFile, covariant=True)


@dataclass(frozen=True)
class ClipPaths(Generic[FileT_co]):
    """Where the parts of a clip lie: what a reader opens and a writer fills.

    Attributes:
        frames: the picture of each frame.
        annotations: the annotation of each frame, None where the benchmark has none.
        wav: the sound.
        log_mel: a pickled tensor [N,1,96,64] of the sound's log-mel patches, where the benchmark has one.
    """

    frames: tuple[FileT_co, ...]
    annotations: tuple[FileT_co | None, ...]
    wav: FileT_co
    log_mel: FileT_co | None = None


def read_table(path: Path, columns: Sequence[str]) -> list[dict[str, str]]:
    """Read the rows of a table that has at least these columns.

    Raises:
        DataError: when it is missing, no text, or lacks a column.
    """
    try:
        with open_file(path) as file:
            reader = csv.DictReader(io.TextIOWrapper(file, "utf-8-sig", newline=""))
            lacking = [name for name in columns if name not in (reader.fieldnames or ())]
            if lacking:
                raise DataError(f"{path}: has no column {', '.join(lacking)}; is it the benchmark's own?")
            return [{key: value or "" for key, value in row.items() if key} for row in reader]
    except FileNotFoundError as error:
        raise DataError(f"{path}: missing") from error
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: cannot be read as a table ({error})") from error


def read_image(path: StoredFile) -> Image.Image:
    """Decode a whole picture, in whatever mode it is stored.

    Raises:
        DataError: when it is missing or broken.
    """
    with open_image(path) as image:
        image.load()
        return image


def read_frame(path: StoredFile) -> U8:
    """Read a frame, RGB u8 [H,W,3].

    Raises:
        DataError: when it is missing or broken.
    """
    return np.asarray(read_image(path).convert("RGB"))


def read_mask(path: StoredFile) -> U8:
    """Read a mask of any mode, u8 [H,W]: 1 where the stored pixel is not zero, whichever loader saved it.

    Public loaders convert masks to mode '1' or 'P'; of a palette the index counts, of transparency nothing.

    Raises:
        DataError: when it is missing or broken.
    """
    image = read_image(path)
    if image.mode in {"LA", "PA", "La"}:
        image = image.getchannel(0)
    elif image.mode not in {"1", "L", "P", "I", "F", "I;16", "I;16B", "I;16L"}:
        image = image.convert("RGB")
    pixels = np.asarray(image) != 0
    return (pixels.any(axis=2) if pixels.ndim == 3 else pixels).astype(np.uint8)


def read_patches(path: StoredFile) -> F32:
    """Read a pickled tensor of log-mel patches, f32 [N,96,64].

    Raises:
        DataError: when it is missing, broken, or anything else than such a tensor.
    """
    tensor = read_tensor_pickle(path)
    if tensor.ndim != 4 or tensor.shape[1:] != (1, 96, 64) or not len(tensor):
        raise DataError(f"{path}: holds a tensor {list(tensor.shape)} in place of [N,1,96,64]")
    if not np.isfinite(tensor).all():
        raise DataError(f"{path}: holds numbers that are not finite")
    return tensor[:, 0]


def read_wav(path: StoredFile, sample_rate: int = SAMPLE_RATE) -> F32:
    """Read a sound, mono, ``sample_rate`` samples a second, f32 [S].

    Raises:
        DataError: when it is missing or broken.
    """
    try:
        with open_file(path) as file:
            waveform = read_audio(file, name=str(path), sample_rate=sample_rate)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise DataError(f"{path}: missing") from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read as sound ({error.strerror})") from error
    except MediaError as error:
        raise DataError(str(error)) from error
    if not np.isfinite(waveform).all():
        raise DataError(f"{path}: holds samples that are not finite")
    return waveform


def stored_patches(files: ClipPaths[StoredFile]) -> F32 | None:
    """The patches that a clip's pickle holds, f32 [N,96,64]; None where there is none, or a broken one.

    Raises:
        CorruptShardError: when it lies in a shard that is damaged there.
    """
    if files.log_mel is None or not files.log_mel.exists():
        return None
    try:
        return read_patches(files.log_mel)
    except CorruptShardError:
        raise
    except DataError:
        return None  # `save-avs data check` names it; the wav says the same


def patches_of(waveform: F32, frontend: Frontend) -> F32:
    """A sound's patches, each beside one of VGGish's, 0.96 s apart, f32 [N,frames,bands], N at least 1.

    A sound shorter than VGGish's patch is filled up with silence. ``waveform`` f32 [S] is mono at the front-end's
    rate.
    """
    least = math.ceil(VGGISH.duration * frontend.sample_rate)
    return log_mel(np.pad(waveform, (0, max(0, least - len(waveform)))), frontend.sample_rate, frontend)
