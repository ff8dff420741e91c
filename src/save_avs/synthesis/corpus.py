"""A corpus from which scenes are composed: cutouts, the sounds of their classes, backgrounds.

On disk, a plain folder that anyone can fill::

    cutouts/<class>/<name>.png      RGBA, or <name>.jpg next to <name>.mask.png
    sounds/<class>/<name>.wav       anything FFmpeg reads; a class without sounds is a silent distractor
    backgrounds/<name>.jpg
    corpus.json                     optional: which file belongs to which split, the zero-shot classes

Without ``corpus.json`` every file serves every split and only the random seed differs.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from PIL import Image, ImageOps
from pydantic import BaseModel, ConfigDict, FiniteFloat, ValidationError

from save_avs._extras import models_folder
from save_avs._files import atomic_write
from save_avs.audio.log_mel import SAMPLE_RATE
from save_avs.datasets.stored_files import open_image
from save_avs.errors import UsageError, first_problem
from save_avs.types import F32, U8
from save_avs.video.audio_reader import load_audio

MAX_SIDE = 288  # cutouts are kept no larger than a scene needs them
BACKGROUND_SIDE = 1024
BUNDLED = "sample"
CorpusSplit = Literal["train", "val", "test", "zero-shot"]
CORPUS_SPLITS: tuple[CorpusSplit, ...] = get_args(CorpusSplit)

_MANIFEST = "corpus.json"
IMAGES = {".png", ".jpg", ".jpeg", ".webp"}


def parse_split(name: str) -> CorpusSplit:
    """Return the split of a name; an unknown one is a UsageError."""
    for split in CORPUS_SPLITS:
        if split == name:
            return split
    raise UsageError(f"Unknown split '{name}'. Choose from: {', '.join(CORPUS_SPLITS)}.")


class Manifest(BaseModel):
    """``corpus.json``: files and classes that are not for every split.

    File names are relative to the corpus, with slashes.

    Attributes:
        splits: file to the splits it serves; files not listed serve all.
        test_from_s: sound file to the time in seconds from which it is for testing; before, for training.
        zero_shot: classes that sound in the zero-shot split only.
        promptable: groups of cutouts for SAM's pre-training only: never in a sounding scene.
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
        """Read ``root/corpus.json``; an empty manifest if there is none.

        Raises:
            UsageError: it is not a manifest; the message says where.
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
        atomic_write(root / _MANIFEST, self.model_dump_json(indent=1) + "\n")

    def serves(self, file: str, split: CorpusSplit) -> bool:
        """Whether a split may use a file."""
        return split in self.splits.get(file, CORPUS_SPLITS)


@dataclass(frozen=True)
class Cutout:
    """One appearance of an object."""

    name: str  # of its file
    group: str  # its class, or kind of silent object
    rgba: U8  # image with its outline, u8 [H,W,4]
    held_out: bool = False  # whether training never sees it


@dataclass(frozen=True)
class Corpus:
    """Everything one split may use, in memory."""

    cutouts: dict[str, list[Cutout]]  # group (class or kind of silent object) to its appearances
    sounds: dict[str, list[F32]]  # class to its sounds at 16 kHz, pauses removed, RMS 0.1, f32 [S]
    backgrounds: list[U8]  # RGB u8 [H,W,3]
    sounding: tuple[str, ...]  # classes that may sound in this split, sorted
    silent: tuple[str, ...]  # groups that never sound but may be in a scene, sorted
    # all sounding classes of the corpus, sorted: a class's index among them is its label
    names: tuple[str, ...]

    @classmethod
    def load(cls, root: str | Path, split: CorpusSplit, *, promptable: bool = False) -> Corpus:
        """Load what ``split`` may use.

        Args:
            root: the corpus's folder, or ``sample`` for the bundled one.
            split: whose files.
            promptable: include the cutouts for SAM's pre-training, as silent groups.

        Raises:
            UsageError: the folder is not a corpus, or has nothing for this split.
            MediaError, DataError: a sound or an image cannot be read.
        """
        files = _SplitFiles.of(root, split)
        names, sounding = files.groups("sounds"), files.sounding_classes()
        backgrounds = files.images("backgrounds")
        if not sounding or not backgrounds:
            raise UsageError(f"{root} has no sounding class or no background for the split '{split}'")
        manifest = files.manifest
        excluded = {*(() if promptable else manifest.promptable), *manifest.zero_shot} - set(sounding)
        groups = [group for group in files.groups("cutouts") if group not in excluded]
        cutouts = {group: cutouts for group in groups if (cutouts := files.load_cutouts(group))}
        return cls(
            cutouts=cutouts,
            sounds={
                name: [files.load_sound(path) for path in files.files_in(f"sounds/{name}")]
                for name in sounding
            },
            backgrounds=[_load_background(path) for path in backgrounds],
            sounding=sounding,
            silent=tuple(group for group in cutouts if group not in names),
            names=names,
        )

    def random_cutout(self, rng: np.random.Generator, group: str) -> Cutout:
        """Draw one of the appearances of a group."""
        cutouts = self.cutouts[group]
        return cutouts[rng.integers(len(cutouts))]


def find_corpus(root: str | Path) -> Path:
    """Return the folder of a corpus, ``sample`` being the bundled one; a UsageError if it has no cutouts."""
    if str(root) == BUNDLED:
        return models_folder() / "scenes"
    if not (Path(root) / "cutouts").is_dir():
        raise UsageError(
            f"{root} is not a corpus: it has no cutouts/ folder. Fill one as docs/guides/own-data.md says, "
            f"build save-tiny's (scripts/build_tuxpaint_corpus.py {root}), "
            f"or use the bundled one, '{BUNDLED}'."
        )
    return Path(root)


def find_images(folder: Path) -> list[Path]:
    """Return the images of a folder, sorted, masks of others left out."""
    return [path for path in sorted(folder.iterdir()) if path.is_file() and _is_image(path)]


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in IMAGES and ".mask" not in path.suffixes and path.name[0] != "."


def sounding_classes(root: str | Path, split: CorpusSplit) -> tuple[str, ...]:
    """Return the classes that may sound in a split, sorted, without loading anything."""
    return _SplitFiles.of(root, split).sounding_classes()


@dataclass(frozen=True)
class _SplitFiles:
    """The files of a corpus that one split may use."""

    root: Path
    manifest: Manifest
    split: CorpusSplit

    @classmethod
    def of(cls, root: str | Path, split: CorpusSplit) -> _SplitFiles:
        root = find_corpus(root)
        return cls(root, Manifest.load(root), split)

    def groups(self, kind: str) -> tuple[str, ...]:
        """Return the classes or groups of a kind, sorted."""
        path = self.root / kind
        return tuple(sorted(p.name for p in path.iterdir() if p.is_dir())) if path.is_dir() else ()

    def sounding_classes(self) -> tuple[str, ...]:
        """Return the classes that have cutouts and sounds for this split, sorted."""
        zero_shot = self.split == "zero-shot"
        names = [name for name in self.groups("sounds") if (name in self.manifest.zero_shot) == zero_shot]
        return tuple(
            name for name in names if self.images(f"cutouts/{name}") and self.files_in(f"sounds/{name}")
        )

    def images(self, folder: str) -> list[Path]:
        return [p for p in self.files_in(folder) if _is_image(p)]

    def files_in(self, folder: str) -> list[Path]:
        path = self.root / folder
        files = [p for p in sorted(path.iterdir()) if p.is_file()] if path.is_dir() else []
        return [p for p in files if p.name[0] != "." and self.manifest.serves(self._name(p), self.split)]

    def _name(self, path: Path) -> str:
        return path.relative_to(self.root).as_posix()

    def load_cutouts(self, group: str) -> list[Cutout]:
        return [
            Cutout(p.stem, group, load_cutout(p), not self.manifest.serves(self._name(p), "train"))
            for p in self.images(f"cutouts/{group}")
        ]

    def load_sound(self, path: Path) -> F32:
        waveform = load_audio(path, sample_rate=SAMPLE_RATE)
        test_from_s = self.manifest.test_from_s.get(self._name(path))
        if test_from_s is not None:
            cut = int(test_from_s * SAMPLE_RATE)
            waveform = waveform[:cut] if self.split in {"train", "val"} else waveform[cut:]
        try:
            return prepare_sound(waveform)
        except ValueError as error:
            raise UsageError(f"{path}: {error}; remove it from the corpus") from error


def load_cutout(path: Path) -> U8:
    """Read a cutout: RGBA, or an image with ``.mask.png`` next to it.

    Returns:
        u8 [H,W,4], cropped to its outline, at most 288 px.

    Raises:
        UsageError: no pixel is opaque.
        DataError: it cannot be read.
    """
    with open_image(path) as image:
        rgba = ImageOps.exif_transpose(image).convert("RGBA")
    mask = path.with_suffix(".mask.png")
    if mask.exists():
        with open_image(mask) as outline:
            rgba.putalpha(outline.convert("L").point([0] + [255] * 255))
    return crop_cutout(rgba, path)


def crop_cutout(rgba: Image.Image, path: Path) -> U8:
    """Crop an image to its outline, at most 288 px, u8 [H,W,4]; a UsageError that names it if it has none."""
    box = rgba.getchannel("A").point([0] * 128 + [255] * 128).getbbox()
    if box is None:
        raise UsageError(f"{path}: not a cutout, no pixel is opaque")
    rgba = rgba.crop(box)
    rgba.thumbnail((MAX_SIDE, MAX_SIDE), Image.Resampling.LANCZOS)
    return np.asarray(rgba)


def _load_background(path: Path) -> U8:
    with open_image(path) as image:
        image.draft("RGB", (BACKGROUND_SIDE, BACKGROUND_SIDE))
        rgb = image.convert("RGB")
    rgb.thumbnail((BACKGROUND_SIDE, BACKGROUND_SIDE), Image.Resampling.LANCZOS)
    return np.asarray(rgb)


def prepare_sound(waveform: F32, *, floor_db: float = -36.0, step: int = 320, keep: int = 8) -> F32:
    """Remove pauses longer than ``keep`` steps of 20 ms and scale to an RMS of 0.1, f32 [S].

    A scene says when an object sounds; a pause inside the recording would make that wrong.

    Raises:
        ValueError: the sound is digital silence, or shorter than a step.
    """
    blocks = waveform[: len(waveform) // step * step].reshape(-1, step)
    power = (blocks.astype(np.float64) ** 2).mean(axis=1)
    if len(power) == 0 or power.max() <= 1e-10:
        raise ValueError("silent, or shorter than 20 ms")
    loud = power > power.max() * 10 ** (floor_db / 10)
    # a block stays if a loud one is within keep / 2 of it: short gaps and soft tails survive
    near = np.convolve(loud, np.ones(keep + 1))[keep // 2 :][: len(loud)] > 0.5
    kept = blocks[near].reshape(-1)
    return (kept * (0.1 / np.sqrt((kept**2).mean()))).astype(np.float32)
