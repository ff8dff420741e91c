"""A model on real photographs and recordings: every photograph under right sounds, wrong sounds and silence.

On disk, one folder per class, as a corpus has them::

    images/<class>/<name>.jpg       photograph, with the object's mask in <name>.mask.png
    sounds/<class>/<name>.wav       recordings of that class, anything FFmpeg reads
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from save_avs._files import atomic_write
from save_avs._text import json_document, markdown_table
from save_avs.audio.log_mel import SAMPLE_RATE, log_mel_at
from save_avs.errors import UsageError
from save_avs.metrics.bootstrap_and_permutation import Estimate, bootstrap_mean
from save_avs.models.preprocess import postprocess_logits, preprocess_frames
from save_avs.models.save import SAVE
from save_avs.synthesis.corpus import find_images, prepare_sound
from save_avs.synthesis.new_class import Photo, load_photo
from save_avs.types import F32, U8, Bool
from save_avs.video.audio_reader import load_audio
from save_avs.visualization.contact_sheet import TARGET_LEGEND, Tile, draw_contact_sheet
from save_avs.visualization.overlay import TARGET_COLOR, draw_mask

SOUNDS = 3  # right, and as many wrong, recordings per photograph
WINDOWS = 5  # windows of a recording that are named; a mask is made with the middle one
EXAMPLES = 24

TITLES = {
    "right": "mIoU, sound of the object",
    "right, best": "mIoU, the best of its recordings",
    "wrong": "pixels marked, sound of another class",
    "silence": "pixels marked, digital silence",
    "named": "recordings named right, of classes the model has",
}


@dataclass(frozen=True)
class RealSet:
    """Photographs and recordings by class."""

    photos: tuple[tuple[str, str, Photo], ...]  # class, file's name and photograph
    sounds: dict[str, list[F32]]  # waveforms at 16 kHz, f32 [S]

    @classmethod
    def load(cls, root: Path) -> Self:
        """Read a folder; a UsageError if there is no photograph, or a class has no recording."""
        folders = [path for path in sorted((root / "images").glob("*")) if path.is_dir()]
        photos = [(folder.name, path) for folder in folders for path in find_images(folder)]
        if not photos:
            raise UsageError(
                f"{root} has no photographs: put them into images/<class>/, with .mask.png files"
            )
        sounds = {}
        for name in dict.fromkeys(name for name, _ in photos):
            files = [path for path in sorted((root / "sounds" / name).glob("*")) if path.is_file()]
            if not files:
                raise UsageError(f"{root / 'sounds' / name} has no recording of {name}")
            sounds[name] = [_load_sound(path) for path in files]
        return cls(tuple((name, path.stem, _load_photo(path)) for name, path in photos), sounds)


def _load_photo(path: Path) -> Photo:
    photo = load_photo(path)
    if photo is None or not photo.mask.any():
        raise UsageError(f"{path}: no mask, or an empty one, in {path.stem}.mask.png")
    return photo


def _load_sound(path: Path) -> F32:
    try:
        return prepare_sound(load_audio(path, sample_rate=SAMPLE_RATE))
    except ValueError as error:
        raise UsageError(f"{path}: {error}; remove it") from error


@dataclass
class RealReport:
    """Result of `evaluate_real`.

    Intervals are over photographs, or over recordings for what is named.
    """

    photos: int
    classes: dict[str, float]  # mean IoU of each class under its own sounds
    known: tuple[str, ...]  # classes that the model names
    metrics: dict[str, Estimate]
    examples: list[tuple[str, U8, Bool, Bool]] = field(default_factory=list)  # name, image, target, mask

    def table(self, info: dict[str, Any]) -> str:
        """Format the metrics as Markdown, with 95 % bootstrap intervals."""
        heading = ", ".join(f"{key} {value}" for key, value in info.items())
        rows = [
            (TITLES[key], f"{m.value:.3f}", f"{m.low:.3f} to {m.high:.3f}", f"{m.count}")
            for key, m in self.metrics.items()
        ]
        rows += [(f"mIoU, {name}", f"{value:.3f}", "", "") for name, value in self.classes.items()]
        counts = f"{self.photos} photographs of {len(self.classes)} classes, {len(self.known)} known by name."
        return f"{heading}; {counts}\n\n{markdown_table(('metric', 'mean', '95 % interval', 'of'), rows)}\n"

    def save(self, folder: Path, info: dict[str, Any]) -> None:
        """Write report.json, report.md and examples.png."""
        document = {**info, "photos": self.photos, "classes": self.classes, "known": self.known}
        document["metrics"] = {name: asdict(metric) for name, metric in self.metrics.items()}
        atomic_write(folder / "report.json", json_document(document))
        atomic_write(folder / "report.md", self.table(info))
        tiles = [
            Tile((draw_mask(image, target, TARGET_COLOR), draw_mask(image, mask)), (name,))
            for name, image, target, mask in self.examples
        ]
        title = f"{info.get('model', '')} on real photographs"
        draw_contact_sheet(folder / "examples.png", tiles, title=title, columns=4, legend=TARGET_LEGEND)


def evaluate_real(
    model: SAVE, data: RealSet, *, seed: int = 0, progress: Callable[[int], None] = lambda _: None
) -> RealReport:
    """Score a model on photographs, each with up to three sounds of its class and three of others.

    Masks are compared at the photograph's own size. A recording is named right when its class has the
    highest mean probability over five windows, of all the model's classes. ``progress`` receives the
    number of photographs done.
    """
    values: dict[str, list[float]] = {"right": [], "right, best": [], "wrong": [], "silence": []}
    by_class: dict[str, list[float]] = {name: [] for name in data.sounds}
    examples = []
    for i, (name, stem, photo) in enumerate(data.photos):
        rng = np.random.default_rng((seed, i))
        right = _draw(rng, data.sounds[name])
        others = [each for other, waveforms in data.sounds.items() if other != name for each in waveforms]
        sounds = [*right, *_draw(rng, others), np.zeros(SAMPLE_RATE, np.float32)]
        masks = _predict(model, photo.image, np.stack([_patches(model, sound, 1)[0] for sound in sounds]))
        ious = [float((m & photo.mask).sum() / (m | photo.mask).sum()) for m in masks[: len(right)]]
        values["right"].append(float(np.mean(ious)))
        values["right, best"].append(max(ious))
        if wrong := masks[len(right) : -1]:
            values["wrong"].append(float(np.mean(wrong)))
        values["silence"].append(float(masks[-1].mean()))
        by_class[name].append(values["right"][-1])
        if len(examples) < EXAMPLES:
            examples.append((f"{name}: {stem}", photo.image, photo.mask, masks[0]))
        progress(i + 1)
    metrics = {key: bootstrap_mean(scores) for key, scores in values.items() if scores}
    known = tuple(name for name in data.sounds if name in model.classes)
    hits = [_name(model, sound) == name for name in known for sound in data.sounds[name]]
    if hits:
        metrics["named"] = bootstrap_mean(list(map(float, hits)))
    means = {name: float(np.mean(scores)) for name, scores in by_class.items()}
    return RealReport(len(data.photos), means, known, metrics, examples)


def _draw(rng: np.random.Generator, sounds: Sequence[F32]) -> list[F32]:
    return [sounds[i] for i in rng.permutation(len(sounds))[:SOUNDS]]


def _patches(model: SAVE, waveform: F32, count: int) -> F32:
    """Return ``count`` log-mel patches spread over a sound, f32 [count,frames,bands]."""
    seconds = len(waveform) / SAMPLE_RATE
    times = [(i + 0.5) * seconds / count for i in range(count)]
    return log_mel_at(waveform, SAMPLE_RATE, times, 0.0, model.frontend)


@torch.inference_mode()
def _predict(model: SAVE, image: U8, log_mel: F32) -> list[Bool]:
    """Return the mask of an image under each sound, bool [H,W]."""
    frame = preprocess_frames(image[None], model.image_size, model.resize)
    images = frame.expand(len(log_mel), -1, -1, -1).to(model.device)
    with torch.autocast(model.device.type, torch.bfloat16, enabled=model.precision == "bf16"):
        logits: Tensor = model(images, torch.from_numpy(log_mel)[:, None].to(model.device))
    height, width = image.shape[:2]
    return [(postprocess_logits(each[0], height, width, model.resize) > 0).cpu().numpy() for each in logits]


@torch.inference_mode()
def _name(model: SAVE, waveform: F32) -> str:
    """Return the class that a recording sounds most like."""
    patches = torch.from_numpy(_patches(model, waveform, WINDOWS))[:, None]
    return model.classes[int(model.classify_audio(patches.to(model.device)).sigmoid().mean(0).argmax())]
