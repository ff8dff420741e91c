"""A corpus of flat shapes and pure tones: every look, sound and background can be told from the others."""

from __future__ import annotations

import json
import wave as wavfile
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

RATE = 16_000
SOUNDING = ("bar", "disc", "ring", "square")
ZERO_SHOT = "ghost"

# image -> (shape, color); each image has its own color
LOOKS = {
    "square/square-0": ("rectangle", (200, 30, 30)),
    "square/square-1": ("rectangle", (220, 60, 20)),
    "square/square-2": ("rectangle", (180, 20, 60)),  # test only
    "disc/disc-0": ("ellipse", (30, 200, 30)),
    "ring/ring-0": ("ring", (30, 30, 200)),
    "bar/bar-0": ("bar", (200, 200, 30)),
    "ghost/ghost-0": ("ellipse", (250, 250, 250)),
    "silent/tree": ("bar", (20, 90, 20)),  # train and val
    "silent/stone": ("rectangle", (90, 90, 90)),  # test and zero-shot
    "silent/cloud": ("ellipse", (230, 230, 240)),
    "promptable/beast": ("ring", (120, 60, 20)),
}
TONES = {
    "square": 300.0,
    "disc": 700.0,
    "ring": 1500.0,
    "bar/bar-0": 2500.0,
    "bar/bar-1": 2700.0,
    "ghost": 5000.0,
}
HELD_TONE = 3500.0  # the stretch of the square's sound that is kept for testing
BACKGROUNDS = {"meadow": (90, 140, 60), "lake": (60, 110, 150), "city": (130, 120, 110)}

MANIFEST = {
    "splits": {
        "cutouts/square/square-0.png": ["train", "val"],
        "cutouts/square/square-1.png": ["train", "val"],
        "cutouts/square/square-2.png": ["test"],
        "cutouts/silent/tree.png": ["train", "val"],
        "cutouts/silent/stone.png": ["test", "zero-shot"],
        "cutouts/promptable/beast.png": ["train", "val"],
        "sounds/bar/bar-0.wav": ["train", "val"],
        "sounds/bar/bar-1.wav": ["test"],
        "backgrounds/meadow.png": ["train"],
        "backgrounds/lake.png": ["val"],
        "backgrounds/city.png": ["test", "zero-shot"],
    },
    "test_from_s": {"sounds/square/square.wav": 2.0},
    "zero_shot": [ZERO_SHOT],
    "promptable": ["promptable"],
}


def make_corpus(root: Path, *, manifest: bool = True) -> Path:
    """Write the corpus into ``root``."""
    for name, (shape, color) in LOOKS.items():
        _save(draw_shape(shape, color), root / "cutouts" / f"{name}.png")
    for name, hertz in TONES.items():
        path = root / "sounds" / (f"{name}.wav" if "/" in name else f"{name}/{name}.wav")
        write_tone(path, [(2.0, hertz), (1.0, HELD_TONE if name == "square" else hertz)])
    for name, color in BACKGROUNDS.items():
        _save(Image.new("RGB", (160, 120), color), root / "backgrounds" / f"{name}.png")
    if manifest:
        (root / "corpus.json").write_text(json.dumps(MANIFEST))
    return root


def draw_shape(shape: str, color: tuple[int, int, int], side: int = 60) -> Image.Image:
    """A flat shape on transparency."""
    image = Image.new("RGBA", (side, side))
    draw = ImageDraw.Draw(image)
    box = (0, 0, side - 1, side - 1)
    if shape == "rectangle":
        draw.rectangle(box, fill=(*color, 255))
    elif shape == "bar":
        draw.rectangle((0, side // 3, side - 1, 2 * side // 3), fill=(*color, 255))
    elif shape == "ellipse":
        draw.ellipse(box, fill=(*color, 255))
    else:
        draw.ellipse(box, outline=(*color, 255), width=side // 5)
    return image


def write_tone(
    path: Path, parts: list[tuple[float, float]], level: float = 0.3, right: float | None = None
) -> None:
    """Tones one after another, (seconds, hertz) each, as 16-bit WAV; stereo if ``right`` has a level."""
    path.parent.mkdir(parents=True, exist_ok=True)
    waves = np.concatenate(
        [np.sin(2 * np.pi * hertz * np.arange(int(s * RATE)) / RATE) for s, hertz in parts]
    )
    levels = [level] if right is None else [level, right]
    with wavfile.open(str(path), "wb") as file:
        file.setnchannels(len(levels))
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes((waves[:, None] * levels * 32767).astype("<i2").tobytes())


def loudest_hertz(waveform: np.ndarray) -> float:
    """The frequency that stands out."""
    spectrum = np.abs(np.fft.rfft(waveform * np.hanning(len(waveform))))
    return float(np.fft.rfftfreq(len(waveform), 1 / RATE)[spectrum.argmax()])


def _save(image: Image.Image, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)
