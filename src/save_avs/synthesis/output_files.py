"""Writers of the files of composed data: audio, masks, images."""

import wave
from pathlib import Path

import numpy as np
from PIL import Image

from save_avs.audio.log_mel import SAMPLE_RATE
from save_avs.types import F32, Bool


def write_wav(path: Path, waveform: F32) -> None:
    """Write mono audio in -1..1 at 16 kHz as 16-bit WAV."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        file.writeframes((np.clip(waveform, -1, 1) * 32767).astype("<i2").tobytes())


def write_mask(path: Path, mask: Bool) -> None:
    """Write a mask, bool [H,W], as a 1-bit PNG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(mask).save(path)


def shrink_image(source: Path, target: Path, side: int, *, quality: int) -> None:
    """Save an image as JPEG, no side longer than ``side`` pixels."""
    with Image.open(source) as image:
        image.draft("RGB", (side, side))
        rgb = image.convert("RGB")
    rgb.thumbnail((side, side), Image.Resampling.LANCZOS)
    target.parent.mkdir(parents=True, exist_ok=True)
    rgb.save(target, quality=quality)
