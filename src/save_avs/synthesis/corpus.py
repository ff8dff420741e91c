"""A corpus of things that can be composed into scenes: cutouts, the sounds of their classes, backgrounds.

On disk, a plain folder that anyone can fill::

    cutouts/<class>/<name>.png      RGBA, or <name>.jpg beside <name>.mask.png
    sounds/<class>/<name>.wav       anything FFmpeg reads; a class without sounds is a silent distractor
    backgrounds/<name>.jpg
    corpus.json                     optional: which file belongs to which split, the zero-shot classes

Without ``corpus.json`` every file serves every split and only the random seed differs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from PIL import Image
from pydantic import BaseModel, ConfigDict, FiniteFloat, ValidationError

from save_avs.datasets.images import open_image
from save_avs.errors import UsageError, first_problem
from save_avs.types import F32, U8
from save_avs.video.audio_reader import read_audio_file

RATE = 16_000
MAX_SIDE = 288  # cutouts are kept no larger than a scene needs them
BACKGROUND_SIDE = 1024
BUNDLED = "sample"
CorpusSplit = Literal["train", "val", "test", "zero-shot"]
SPLITS: tuple[CorpusSplit, ...] = get_args(CorpusSplit)

_MANIFEST = "corpus.json"
_IMAGES = {".png", ".jpg", ".jpeg", ".webp"}


def parse_split(name: str) -> CorpusSplit:
    """The split of a name.

    Raises:
        UsageError: when there is none.
    """
    for split in SPLITS:
        if split == name:
            return split
    raise UsageError(f"unknown split '{name}': choose one of {', '.join(SPLITS)}")


class Manifest(BaseModel):
    """``corpus.json``: what is not for every split. Files are named relative to the corpus, with slashes.

    Attributes:
        splits: file to the splits it serves; a file that is not named serves all.
        test_from_s: sound file to the second from which it is kept for testing; what is before, for training.
        zero_shot: classes that sound in the zero-shot split alone.
        promptable: groups of cutouts for SAM's pre-training alone: never in a sounding scene.
        license: for information.
    """

    model_config = ConfigDict(frozen=True)

    splits: dict[str, tuple[CorpusSplit, ...]] = {}
    test_from_s: dict[str, FiniteFloat] = {}
    zero_shot: tuple[str, ...] = ()
    promptable: tuple[str, ...] = ()
    license: str = ""

    @classmethod
    def load(cls, root: Path) -> Manifest:
        """Read ``root/corpus.json``; an empty manifest when there is none.

        Raises:
            UsageError: when it is no manifest; the line says where.
        """
        path = root / _MANIFEST
        if not path.exists():
            return cls()
        if not path.is_file():
            raise UsageError(f"{path}: not a file")
        try:
            return cls.model_validate_json(path.read_bytes())
        except ValidationError as error:
            raise UsageError(f"{path}: {first_problem(error)}") from error

    def save(self, root: Path) -> None:
        """Write ``root/corpus.json``."""
        (root / _MANIFEST).write_text(self.model_dump_json(indent=1) + "\n", encoding="utf-8")

    def serves(self, file: str, split: CorpusSplit) -> bool:
        """Whether a split may use a file."""
        return split in self.splits.get(file, SPLITS)


@dataclass(frozen=True)
class Cutout:
    """One look of a thing.

    Attributes:
        name: of its file.
        group: its class, or kind of silent thing.
        rgba: the picture with its outline, u8 [H,W,4].
        held_out: whether training never sees it.
    """

    name: str
    group: str
    rgba: U8
    held_out: bool = False


@dataclass(frozen=True)
class Corpus:
    """Everything one split may use, in memory.

    Attributes:
        cutouts: group (class or kind of silent thing) to its looks.
        sounds: class to its sounds at 16 kHz, silence squeezed out, loudness leveled, f32 [S].
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
    def load(cls, root: str | Path, split: CorpusSplit, *, promptable: bool = False) -> Corpus:
        """Load what ``split`` may use.

        Args:
            root: the corpus's folder, or ``sample`` for the bundled one.
            split: whose files.
            promptable: takes the cutouts that only SAM's pre-training sees among the silent ones.

        Raises:
            UsageError: when the folder is no corpus, or has nothing for this split.
            MediaError, DataError: when a sound or a picture cannot be read.
        """
        root = find_corpus(root)
        manifest = Manifest.load(root)
        shelf = _Shelf(root, manifest, split)
        names, sounding = tuple(shelf.folders("sounds")), shelf.sounding()
        backgrounds = shelf.backgrounds()
        if not sounding or not backgrounds:
            raise UsageError(f"{root} has no sounding class or no background for the split '{split}'")
        unwanted = {*(() if promptable else manifest.promptable), *manifest.zero_shot} - set(sounding)
        looks = {g: shelf.looks(g) for g in shelf.folders("cutouts") if g not in unwanted}
        looks = {g: c for g, c in looks.items() if c}
        sounds = {name: shelf.sounds(name) for name in sounding}
        silent = tuple(g for g in looks if g not in names)
        return cls(looks, sounds, backgrounds, sounding, silent, names)


def find_corpus(root: str | Path) -> Path:
    """The folder of a corpus; ``sample`` is the bundled one.

    Raises:
        UsageError: when it has no cutouts.
    """
    if str(root) == BUNDLED:
        return Path(str(resources.files("save_avs"))) / "bundled" / "scenes"
    if not (Path(root) / "cutouts").is_dir():
        raise UsageError(
            f"{root} is no corpus: it has no cutouts/ folder; make one (save-avs data tuxpaint {root}), "
            f"or take the bundled one, '{BUNDLED}'"
        )
    return Path(root)


def sounding_classes(root: str | Path, split: CorpusSplit) -> tuple[str, ...]:
    """Names of the classes that may sound in a split, sorted, without loading anything.

    Raises:
        UsageError: when the folder is no corpus.
    """
    root = find_corpus(root)
    return _Shelf(root, Manifest.load(root), split).sounding()


@dataclass(frozen=True)
class _Shelf:
    """The files of a corpus that one split may use."""

    root: Path
    manifest: Manifest
    split: CorpusSplit

    def folders(self, kind: str) -> Iterator[str]:
        """Names of the classes or groups of a kind, sorted."""
        path = self.root / kind
        return iter(sorted(p.name for p in path.iterdir() if p.is_dir())) if path.is_dir() else iter(())

    def sounding(self) -> tuple[str, ...]:
        """Classes that have looks and sounds for this split, sorted."""
        zero_shot = self.split == "zero-shot"
        names = [n for n in self.folders("sounds") if (n in self.manifest.zero_shot) == zero_shot]
        return tuple(n for n in names if self._pictures(f"cutouts/{n}") and self._files(f"sounds/{n}"))

    def looks(self, group: str) -> list[Cutout]:
        return [
            Cutout(p.stem, group, load_cutout(p), not self.manifest.serves(self._name(p), "train"))
            for p in self._pictures(f"cutouts/{group}")
        ]

    def sounds(self, name: str) -> list[F32]:
        return [self._sound(p) for p in self._files(f"sounds/{name}")]

    def backgrounds(self) -> list[U8]:
        return [_load_picture(p) for p in self._pictures("backgrounds")]

    def _pictures(self, folder: str) -> list[Path]:
        return [p for p in self._files(folder) if _is_picture(p)]

    def _files(self, folder: str) -> list[Path]:
        path = self.root / folder
        found = [p for p in sorted(path.iterdir()) if p.is_file()] if path.is_dir() else []
        return [p for p in found if p.name[0] != "." and self.manifest.serves(self._name(p), self.split)]

    def _name(self, path: Path) -> str:
        return path.relative_to(self.root).as_posix()

    def _sound(self, path: Path) -> F32:
        waveform = read_audio_file(path, sample_rate=RATE)
        test_from_s = self.manifest.test_from_s.get(self._name(path))
        if test_from_s is not None:
            cut = int(test_from_s * RATE)
            waveform = waveform[:cut] if self.split in {"train", "val"} else waveform[cut:]
        try:
            return prepare_sound(waveform)
        except ValueError as error:
            raise UsageError(f"{path}: {error}; remove it from the corpus") from error


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in _IMAGES and ".mask" not in path.suffixes


def load_cutout(path: Path) -> U8:
    """Read a cutout: RGBA, or a picture with ``.mask.png`` beside it.

    Returns:
        u8 [H,W,4], cropped to its outline, 288 px at most.

    Raises:
        UsageError: when nothing in it is opaque.
        DataError: when it cannot be read.
    """
    with open_image(path) as image:
        rgba = image.convert("RGBA")
    mask = path.with_suffix(".mask.png")
    if mask.exists():
        with open_image(mask) as outline:
            rgba.putalpha(outline.convert("L").point([0] + [255] * 255))
    box = rgba.getchannel("A").point([0] * 128 + [255] * 128).getbbox()
    if box is None:
        raise UsageError(f"{path}: nothing in it is opaque, so it is no cutout")
    rgba = rgba.crop(box)
    rgba.thumbnail((MAX_SIDE, MAX_SIDE), Image.Resampling.LANCZOS)
    return np.asarray(rgba)


def _load_picture(path: Path) -> U8:
    with open_image(path) as image:
        image.draft("RGB", (BACKGROUND_SIDE, BACKGROUND_SIDE))
        rgb = image.convert("RGB")
    rgb.thumbnail((BACKGROUND_SIDE, BACKGROUND_SIDE), Image.Resampling.LANCZOS)
    return np.asarray(rgb)


def prepare_sound(waveform: F32, *, floor_db: float = -36.0, step: int = 320, keep: int = 8) -> F32:
    """Squeeze out pauses longer than ``keep`` steps of 20 ms and level to an RMS of 0.1, f32 [S].

    A scene says when a thing sounds; a pause inside the recording would make that untrue.

    Raises:
        ValueError: when the sound is digital silence, or shorter than a step.
    """
    blocks = waveform[: len(waveform) // step * step].reshape(-1, step)
    power = (blocks.astype(np.float64) ** 2).mean(axis=1)
    if len(power) == 0 or power.max() <= 1e-10:
        raise ValueError("silent, or shorter than 20 ms")
    loud = power > power.max() * 10 ** (floor_db / 10)
    # a block stays when a loud one is within keep / 2 of it: short gaps and soft tails survive
    near = np.convolve(loud, np.ones(keep + 1))[keep // 2 :][: len(loud)] > 0.5
    kept = blocks[near].reshape(-1)
    return (kept * (0.1 / np.sqrt((kept**2).mean()))).astype(np.float32)
