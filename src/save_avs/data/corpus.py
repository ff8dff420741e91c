"""A corpus of things that can be composed into scenes: cutouts, the sounds of their classes, backgrounds.

On disk, a plain folder that anyone can fill::

    cutouts/<class>/<name>.png          RGBA, or <name>.jpg beside <name>.mask.png
    sounds/<class>/<name>.wav           anything FFmpeg reads; a class without sounds is a silent distractor
    backgrounds/<name>.jpg
    corpus.json                         optional: which file belongs to which split, names of the zero-shot classes

Without ``corpus.json`` every file serves every split and only the random seed differs.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image

from save_avs.errors import UsageError
from save_avs.media.audio_file import read_audio_file
from save_avs.types import F32, U8

RATE = 16_000
MAX_SIDE = 288  # cutouts are kept no larger than a scene needs them
Split = Literal["train", "val", "test", "zero-shot"]
SPLITS: tuple[Split, ...] = ("train", "val", "test", "zero-shot")

_IMAGES = {".png", ".jpg", ".jpeg", ".webp"}


@dataclass(frozen=True)
class Manifest:
    """``corpus.json``: what is not for every split.

    Attributes:
        splits: file (relative to the corpus) to the splits it serves; a file that is not named serves all.
        held_from: sound file to the second from which it is kept for testing; the part before is for training.
        zero_shot: classes that sound in the zero-shot split alone.
        promptable: groups of cutouts that take part in SAM's pre-training alone, never in a sounding scene.
    """

    splits: dict[str, list[str]] = field(default_factory=dict)
    held_from: dict[str, float] = field(default_factory=dict)
    zero_shot: tuple[str, ...] = ()
    promptable: tuple[str, ...] = ()

    @classmethod
    def load(cls, root: Path) -> Manifest:
        """Read ``root/corpus.json``; an empty manifest when there is none."""
        path = root / "corpus.json"
        if not path.exists():
            return cls()
        raw = json.loads(path.read_text())
        return cls(
            splits=raw.get("splits", {}),
            held_from=raw.get("held_from", {}),
            zero_shot=tuple(raw.get("zero_shot", ())),
            promptable=tuple(raw.get("promptable", ())),
        )


@dataclass(frozen=True)
class Cutout:
    """One look of a thing: its picture with an outline, RGBA u8 [H,W,4]; held out when training never sees it."""

    name: str
    group: str
    rgba: U8
    held_out: bool = False


@dataclass(frozen=True)
class Corpus:
    """Everything one split may use, in memory.

    Attributes:
        cutouts: group (class or kind of silent thing) to its looks.
        sounds: class to its sounds at 16 kHz, silence squeezed out, loudness levelled, f32 [S].
        backgrounds: RGB u8 [H,W,3].
        sounding: classes that may sound in this split, sorted.
        silent: groups that never sound but may stand in a scene, sorted.
        names: all sounding classes of the corpus, sorted: a class's index among them is its label.
    """

    cutouts: dict[str, list[Cutout]]
    sounds: dict[str, list[F32]]
    backgrounds: list[U8]
    sounding: tuple[str, ...]
    silent: tuple[str, ...]
    names: tuple[str, ...]

    @classmethod
    def load(cls, root: str | Path, split: Split, *, promptable: bool = False) -> Corpus:
        """Load what ``split`` may use; ``promptable`` adds the cutouts that only SAM's pre-training sees.

        Raises:
            UsageError: when the folder is no corpus, or has nothing for this split.
        """
        root = Path(root)
        if not (root / "cutouts").is_dir():
            raise UsageError(f"{root} is no corpus: it has no cutouts/ folder (make one: save-avs data stamps)")
        manifest = Manifest.load(root)
        names = tuple(sorted(p.name for p in _folders(root / "sounds")))
        looks = {g.name: _load_looks(root, g, manifest, split) for g in _folders(root / "cutouts")}
        looks = {g: c for g, c in looks.items() if c and (promptable or g not in manifest.promptable)}
        is_zero_shot = split == "zero-shot"
        sounding = tuple(n for n in names if n in looks and (n in manifest.zero_shot) == is_zero_shot)
        if not is_zero_shot:
            looks = {g: c for g, c in looks.items() if g not in manifest.zero_shot}
        sounds = {n: _load_sounds(root, n, manifest, split) for n in names if n in looks}
        backgrounds = [_load_picture(p) for p in _files(root / "backgrounds", manifest, split, root)]
        if not sounding or not backgrounds:
            raise UsageError(f"{root} has no sounding class or no background for the split '{split}'")
        silent = tuple(sorted(g for g in looks if g not in names and g not in manifest.promptable))
        return cls(looks, sounds, backgrounds, sounding, silent, names)


def _folders(path: Path) -> Iterator[Path]:
    return iter(sorted(p for p in path.iterdir() if p.is_dir())) if path.is_dir() else iter(())


def _files(folder: Path, manifest: Manifest, split: str, root: Path) -> list[Path]:
    files = [p for p in sorted(folder.iterdir()) if p.is_file() and ".mask" not in p.suffixes]
    return [p for p in files if split in manifest.splits.get(str(p.relative_to(root)), SPLITS)]


def _load_looks(root: Path, group: Path, manifest: Manifest, split: str) -> list[Cutout]:
    files = [p for p in _files(group, manifest, split, root) if p.suffix.lower() in _IMAGES]
    return [
        Cutout(p.stem, group.name, load_cutout(p), "train" not in manifest.splits.get(str(p.relative_to(root)), SPLITS))
        for p in files
    ]


def load_cutout(path: Path) -> U8:
    """Read an RGBA picture (or picture + ``.mask.png``), cropped to its outline, u8 [H,W,4], at most 288 px."""
    with Image.open(path) as image:
        rgba = image.convert("RGBA")
    mask = path.with_suffix(".mask.png")
    if mask.exists():
        with Image.open(mask) as outline:
            rgba.putalpha(outline.convert("L").point(lambda v: 255 if v else 0))
    box = rgba.getchannel("A").point(lambda v: 255 if v > 127 else 0).getbbox()
    if box is None:
        raise UsageError(f"{path}: nothing in it is opaque, so it is no cutout")
    rgba = rgba.crop(box)
    rgba.thumbnail((MAX_SIDE, MAX_SIDE), Image.Resampling.LANCZOS)
    return np.asarray(rgba)


def _load_picture(path: Path) -> U8:
    with Image.open(path) as image:
        image.draft("RGB", (1024, 1024))
        rgb = image.convert("RGB")
    rgb.thumbnail((1024, 1024), Image.Resampling.LANCZOS)
    return np.asarray(rgb)


def _load_sounds(root: Path, name: str, manifest: Manifest, split: str) -> list[F32]:
    folder = root / "sounds" / name
    return [
        prepare_sound(_part(read_audio_file(p, rate=RATE), manifest.held_from.get(str(p.relative_to(root))), split))
        for p in _files(folder, manifest, split, root)
    ]


def _part(wave: F32, held_from: float | None, split: str) -> F32:
    if held_from is None:
        return wave
    cut = int(held_from * RATE)
    return wave[:cut] if split in {"train", "val"} else wave[cut:]


def prepare_sound(wave: F32, *, floor_db: float = -36.0, step: int = 320, keep: int = 8) -> F32:
    """Squeeze out pauses longer than ``keep`` steps of 20 ms and level to an RMS of 0.1, f32 [S].

    A scene says when a thing sounds; a pause inside the recording would make that untrue.

    Raises:
        UsageError: when the sound is digital silence.
    """
    blocks = wave[: len(wave) // step * step].reshape(-1, step)
    power = (blocks.astype(np.float64) ** 2).mean(axis=1)
    if len(power) == 0 or power.max() <= 1e-10:
        raise UsageError("a sound of the corpus is silent or shorter than 20 ms")
    loud = power > power.max() * 10 ** (floor_db / 10)
    # a block stays when a loud one is within keep / 2 of it: short gaps and soft tails survive
    near = np.convolve(loud, np.ones(keep + 1), mode="same") > 0.5
    kept = blocks[near].reshape(-1)
    return (kept * (0.1 / np.sqrt((kept**2).mean()))).astype(np.float32)
