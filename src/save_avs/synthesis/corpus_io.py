"""Files that the composer writes: whole folders, sounds, masks, photographs."""

from __future__ import annotations

import tempfile
import wave as wavfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image

from save_avs.errors import UsageError
from save_avs.synthesis.corpus import RATE
from save_avs.types import F32, Bool


@contextmanager
def new_folder(target: str | Path) -> Iterator[Path]:
    """Hand out an empty folder beside ``target`` that takes its name when the block ends well.

    Raises:
        UsageError: when ``target`` exists.
    """
    target = Path(target)
    if target.exists():
        raise UsageError(f"{target} exists already; remove it or name another folder")
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name[:80]}.") as scratch:
        folder = Path(scratch) / target.name
        folder.mkdir()
        yield folder
        folder.rename(target)


def write_wav(path: Path, waveform: F32) -> None:
    """Write mono sound in -1..1 at 16 kHz as 16-bit WAV."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with wavfile.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes((np.clip(waveform, -1, 1) * 32767).astype("<i2").tobytes())


def write_mask(path: Path, mask: Bool) -> None:
    """Write a mask, bool [H,W], as PNG of one bit a pixel."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(mask).save(path)


def shrink_image(source: Path, target: Path, side: int, *, quality: int) -> None:
    """Save a picture as JPEG of at most ``side`` pixels."""
    with Image.open(source) as image:
        image.draft("RGB", (side, side))
        rgb = image.convert("RGB")
    rgb.thumbnail((side, side), Image.Resampling.LANCZOS)
    target.parent.mkdir(parents=True, exist_ok=True)
    rgb.save(target, quality=quality)
