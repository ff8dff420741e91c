"""Photographs and recordings of a new class, and the scenes that teach it and rehearse the others."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageOps

from save_avs.audio.frontend import Frontend
from save_avs.audio.log_mel import SAMPLE_RATE
from save_avs.datasets.stored_files import open_image
from save_avs.errors import UsageError
from save_avs.synthesis.capture import random_camera
from save_avs.synthesis.corpus import (
    IMAGES,
    Corpus,
    Cutout,
    crop_cutout,
    find_images,
    load_cutout,
    prepare_sound,
)
from save_avs.synthesis.sample_streams import EVAL_TIME, SceneSample, SceneStream, scene_log_mel
from save_avs.synthesis.scene import SceneOptions, random_audio_sources, random_noise
from save_avs.types import U8, AVSample, Bool
from save_avs.video.audio_reader import load_audio

PHOTO_PROB = 0.35  # of a new class's items: shows a photograph as it is, rather than its cutout in a scene
OTHERS = 3  # old classes that a scene with the new object is drawn from
PHOTO_SIDE = 640  # photographs are kept no larger
_SOUND_COUNTS = (0.15, 0.85, 0.0)  # probabilities that a photograph's object is silent, or sounds


class Photo(NamedTuple):
    """A photograph u8 [H,W,3] and its object's mask, bool [H,W]."""

    image: U8
    mask: Bool


@dataclass(frozen=True)
class NewClass:
    """A corpus that has the new class too, the class's name, and its whole photographs."""

    name: str
    corpus: Corpus
    photos: tuple[Photo, ...]


def load_new_class(
    name: str, corpus: Corpus, images: Path, sounds: Path, masks: Mapping[Path, Bool] = {}
) -> NewClass:
    """Join an object's photographs and recordings to a corpus.

    Args:
        name: of the new class.
        corpus: of the old classes, which scenes mix with the new one.
        images: folder of cutouts (RGBA), or photographs with ``<name>.mask.png`` next to them.
        sounds: folder of recordings, anything FFmpeg reads.
        masks: of photographs without one, bool [H,W].

    Raises:
        UsageError: a folder is missing or has nothing, or a photograph has no mask.
        MediaError, DataError: a file cannot be read.
    """
    for folder, what in ((images, "images"), (sounds, "sounds")):
        if not folder.is_dir():
            raise UsageError(f"{folder}: no such folder of {what}")
    paths = find_images(images)
    recordings = [path for path in sorted(sounds.iterdir()) if path.is_file() and path.name[0] != "."]
    if not paths:
        raise UsageError(
            f"{images} has no image: put photographs of the object there ({', '.join(sorted(IMAGES))})"
        )
    if not recordings:
        raise UsageError(f"{sounds} has no recording: put recordings of the object there")
    photos = [photo for path in paths if (photo := load_photo(path, masks.get(path))) is not None]
    cutouts = [
        Cutout(path.stem, name, load_cutout(path) if path not in masks else _cut(path, masks[path]))
        for path in paths
    ]
    waveforms = []
    for path in recordings:
        try:
            waveforms.append(prepare_sound(load_audio(path, sample_rate=SAMPLE_RATE)))
        except ValueError as error:
            raise UsageError(f"{path}: {error}; remove it") from error
    joined = replace(
        corpus,
        cutouts={**corpus.cutouts, name: cutouts},
        sounds={**corpus.sounds, name: waveforms},
        sounding=(*(each for each in corpus.sounding if each != name), name),
        silent=tuple(each for each in corpus.silent if each != name),
        names=(*(each for each in corpus.names if each != name), name),
    )
    return NewClass(name, joined, tuple(photos))


def needs_mask(path: Path) -> bool:
    """Whether an image neither is a cutout nor has a mask next to it."""
    if path.with_suffix(".mask.png").exists():
        return False
    with open_image(path) as image:
        return "A" not in image.getbands() and "transparency" not in image.info


def load_photo(path: Path, mask: Bool | None = None) -> Photo | None:
    """Return a photograph with its mask, at most 640 px; None for a cutout."""
    stored = path.with_suffix(".mask.png")
    if mask is None and not stored.exists():
        if needs_mask(path):
            raise UsageError(
                f"{path}: no mask: put {stored.name} next to it, or teach it by a box in --boxes"
            )
        return None
    rgb = _read_upright(path, "RGB")
    if mask is None:
        with open_image(stored) as outline:
            mask = np.asarray(outline.convert("L")) > 0
    if mask.shape != (rgb.height, rgb.width):
        raise UsageError(f"{stored}: {mask.shape[1]}x{mask.shape[0]}, another size than {path.name} has")
    alpha = Image.fromarray(mask)
    rgb.thumbnail((PHOTO_SIDE, PHOTO_SIDE), Image.Resampling.LANCZOS)
    return Photo(np.array(rgb), np.asarray(alpha.resize(rgb.size, Image.Resampling.NEAREST)))


def _cut(path: Path, mask: Bool) -> U8:
    rgba = _read_upright(path, "RGBA")
    rgba.putalpha(Image.fromarray(mask).convert("L"))
    return crop_cutout(rgba, path)


def _read_upright(path: Path, mode: str) -> Image.Image:
    with open_image(path) as image:
        return ImageOps.exif_transpose(image).convert(mode)


@dataclass(frozen=True)
class NewClassStream:
    """Training items, by turns of the new class and of a rehearsal; item i depends on (seed, i) alone.

    An item of the new class shows it in a composed scene, or a photograph of it. Rehearsals are scenes of the
    corpus, in which it is one class of many. An item's ``sounds``, f32 [T,2], say whether the new sound
    is heard in a frame, and whether the item is a rehearsal.
    """

    new_class: NewClass
    options: SceneOptions
    size: int
    frontend: Frontend
    seed: int = 0

    def __getitem__(self, i: int) -> SceneSample:
        rng = np.random.default_rng((self.seed, 1, i))
        new_class, corpus = self.new_class, self.new_class.corpus
        old = corpus.sounding[:-1]
        if i % 2 == 0 and new_class.photos and rng.random() < PHOTO_PROB:
            return self._photo(rng, f"photo-{i}")
        if i % 2 == 0:
            few = [old[k] for k in rng.permutation(len(old))[:OTHERS]]
            corpus = replace(corpus, sounding=(*few, new_class.name))
        item = SceneStream(corpus, self.options, self.size, seed=self.seed, frontend=self.frontend)[i]
        heard = item.sounds[:, -1:]
        return item._replace(sounds=np.concatenate([heard, np.full_like(heard, i % 2)], axis=1))

    def _photo(self, rng: np.random.Generator, name: str) -> SceneSample:
        """A part of a photograph that holds the object, with its sound, another's, or none."""
        photos = self.new_class.photos
        frame, mask = _random_view(rng, photos[rng.integers(len(photos))], self.size)
        if rng.random() < self.options.camera_prob:
            frame = random_camera(rng)(frame)
        options = replace(self.options, source_count_probs=_SOUND_COUNTS)
        span = (0.0, 2 * EVAL_TIME)
        sources = random_audio_sources(rng, self.new_class.corpus, options, [self.new_class.name], span)
        heard = any(source.name == self.new_class.name for source in sources)
        log_mel = scene_log_mel((*sources, random_noise(rng, span)), [EVAL_TIME], self.frontend)
        one = np.ones(1, bool)
        sample = AVSample(
            name, frames=frame[None], log_mel=log_mel, masks=(mask & heard)[None], has_mask=one, valid=one
        )
        instances = np.where(mask, 0, -1).astype(np.int8)[None]
        return SceneSample(sample, instances, (0,), np.array([[heard, 0]], np.float32))


def _random_view(rng: np.random.Generator, photo: Photo, size: int) -> Photo:
    """Crop a photograph around its object and squash it to a square, at random mirrored."""
    height, width = photo.mask.shape
    ys, xs = np.nonzero(photo.mask)
    left, top = (int(rng.uniform(0, low + 1)) for low in (xs.min(), ys.min()))
    right, bottom = int(rng.uniform(xs.max() + 1, width)), int(rng.uniform(ys.max() + 1, height))
    parts: Sequence[Image.Image] = [Image.fromarray(array) for array in photo]
    resized = [
        np.asarray(part.resize((size, size), how, box=(left, top, right, bottom)))
        for part, how in zip(parts, (Image.Resampling.BILINEAR, Image.Resampling.NEAREST), strict=True)
    ]
    if rng.random() < 0.5:
        resized = [array[:, ::-1] for array in resized]
    return Photo(*map(np.ascontiguousarray, resized))
