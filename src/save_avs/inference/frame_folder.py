"""A folder of images with a sound file as a video: numbered frames beside a wav, or a clip of AVSBench."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from save_avs.errors import MediaError
from save_avs.types import U8, VideoChunk
from save_avs.video.audio_reader import load_audio

IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg"})
_SAMPLE_RATE = 16000


class ImageFrames:
    """Images that are read when they are indexed, as an array u8 [T,H,W,3] is.

    Raises:
        MediaError: an image cannot be read, or has another size than the first.
    """

    dtype = np.dtype(np.uint8)
    ndim = 4

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = np.array([str(path) for path in paths])
        self.shape = (len(paths), *read_image(str(paths[0])).shape)

    def __len__(self) -> int:
        return len(self._paths)

    def __getitem__(self, key: Any) -> U8:
        images = [read_image(path) for path in self._paths[key].tolist()]
        for path, image in zip(self._paths[key].tolist(), images, strict=True):
            if image.shape != self.shape[1:]:
                raise MediaError(f"{path}: another size than the first image of the folder")
        return np.stack(images)


def read_image(path: str | Path) -> U8:
    """Read an image as RGB u8 [H,W,3], turned upright as its EXIF tag says; a MediaError if it is none."""
    with _open_image(path) as stored:
        image = ImageOps.exif_transpose(stored)
        if image.mode.startswith("I"):  # gray of 16 bits, which Pillow would clip to 255
            return np.repeat((np.asarray(image)[..., None] // 257).astype(np.uint8), 3, axis=2)
        return np.asarray(image.convert("RGB"))


def read_image_size(path: str | Path) -> tuple[int, int]:
    """Read width and height as an image's header states them; a MediaError if it is none."""
    with _open_image(path) as image:
        return image.size


@contextmanager
def _open_image(path: str | Path) -> Iterator[Image.Image]:
    try:
        with Image.open(path) as image:
            yield image
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        raise MediaError(f"{path}: cannot be read as an image ({error})") from error


def is_frame_folder(folder: Path, sound: str | None = None) -> bool:
    """Return whether a folder has images, and a sound file belongs to them, if none is given."""
    return folder.is_dir() and bool((sound or find_sound(folder)) and find_images(folder))


def find_images(folder: Path) -> list[Path]:
    """List the images of a folder, by the last number in their names."""
    images = [path for path in folder.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES]
    return sorted(images, key=lambda path: (int((re.findall(r"\d+", path.stem) or ["0"])[-1]), path.name))


def find_sound(folder: Path) -> Path | None:
    """Find the sound of a folder of images: the only wav in it, or where AVSBench has it."""
    folder = folder.resolve()
    within = sorted(folder.glob("*.wav"))
    if len(within) == 1:
        return within[0]
    beside = Path(*("audio_wav" if part == "visual_frames" else part for part in folder.parts)).parent
    name = f"{folder.name}.wav"
    avsbench = (folder.parent / "audio.wav", beside / name, *sorted(beside.glob(f"*/{name}")))
    return next((path for path in avsbench if path.is_file()), None)


def read_frame_folder(folder: Path, sound: str | None = None, track: int | None = None) -> VideoChunk:
    """Open a folder of images, spread evenly over its sound, or that of a file; it is held in memory.

    Images that are half a second apart, or more, are in the middle of their share of the sound, as AVSBench
    pairs them.

    Raises:
        MediaError: it is no such folder, or an image or the sound cannot be read.
    """
    images, file = find_images(folder), sound or find_sound(folder)
    if not images or file is None:
        raise MediaError(f"{folder}: a folder without numbered images and one wav file")
    waveform = load_audio(file, sample_rate=_SAMPLE_RATE, track=track or 1)
    if not len(waveform):
        raise MediaError(f"{file}: has no sound, which gives the times of the images")
    step = len(waveform) / _SAMPLE_RATE / len(images)
    times = (np.arange(len(images), dtype=np.float64) + (0.5 if step >= 0.5 else 0)) * step
    frames: Any = ImageFrames(images)
    return VideoChunk(frames, times, waveform, waveform_start=0.0, sample_rate=_SAMPLE_RATE)
