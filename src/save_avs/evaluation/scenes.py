"""How well a model does on composed scenes, and whether it listens.

Every scene is heard five times: with its own sound; with the sound of a silent object in view, which the mask
must follow; with the sound of a class that is not in view; with digital silence; with faint noise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from save_avs.data.corpus import Corpus
from save_avs.data.paint import Layers, paint
from save_avs.data.scene import Scene, SceneOptions, Voice, draw_scene, draw_voice, noise_voice
from save_avs.data.streams import hear
from save_avs.evaluation.statistics import Figure, bootstrap_mean
from save_avs.model.save import SAVE
from save_avs.objectives.frame_scores import frame_f_curves
from save_avs.objectives.metrics import best_f
from save_avs.types import U8

TIME = 0.6  # the middle of a scene of one segment
BATCH = 16
OPTIONS = SceneOptions(sources=(0.0, 0.5, 0.5), augment=False, textures=0.0)
SPAN = (0.0, 1.2)


@dataclass(frozen=True)
class Trial:
    """One picture under one sound: what it is about, and the pixels that should be marked, bool [S,S]."""

    kind: str
    patch: np.ndarray
    truth: np.ndarray


@dataclass
class SceneReport:
    """What came out.

    Attributes:
        scenes: how many pictures.
        with_silent_object: share of them in which an object that could be heard, or never is, is silent.
        figures: IoU or marked share by kind of trial.
        f_score: the benchmark's F over the scenes' own sounds, protocol ``dataset``.
        examples: (picture, truth, mask) of a few scenes, each [S,S,...].
    """

    scenes: int
    with_silent_object: float
    figures: dict[str, Figure]
    f_score: float
    examples: list[tuple[U8, np.ndarray, np.ndarray]] = field(default_factory=list)


LABELS = {
    "one source": "mIoU, one sounding object",
    "two sources": "mIoU, two sounding objects",
    "all": "mIoU, all scenes",
    "new look": "mIoU, looks that training never saw",
    "silent object's sound": "mIoU to a silent object, given its sound",
    "absent class": "pixels marked, sound of a class not in view",
    "silence": "pixels marked, digital silence",
    "faint noise": "pixels marked, faint noise",
}


def evaluate_scenes(
    model: SAVE, corpus: Corpus, *, scenes: int, seed: int, progress: Callable[[int], None] = lambda _: None
) -> SceneReport:
    """Draw ``scenes`` scenes of a corpus from a seed and try every sound on each."""
    rows: dict[str, list[float]] = {name: [] for name in LABELS}
    curves: list[Tensor] = []
    silent, examples = 0, []
    for i in range(scenes):
        rng = np.random.default_rng((seed, i))
        scene = draw_scene(rng, corpus, OPTIONS)
        picture, layers = paint(scene, TIME, model.image_size, model.image_size)
        trials = list(draw_trials(rng, corpus, scene, layers))
        probs = run_trials(model, picture, trials)
        for trial, prob in zip(trials, probs, strict=True):
            _record(rows, trial, prob, _has_new_look(scene))
        own = torch.from_numpy(trials[0].truth)
        curves.append(frame_f_curves(probs[:1], own[None]))
        silent += len(scene.sources_at(TIME)) < len(scene.things)
        if len(examples) < 12:
            examples.append((picture, trials[0].truth, (probs[0] > 0.5).numpy()))
        progress(i + 1)
    figures = {name: bootstrap_mean(values) for name, values in rows.items() if values}
    f_score = best_f(torch.cat(curves).numpy())
    return SceneReport(scenes, silent / scenes, figures, f_score, examples)


def draw_trials(rng: np.random.Generator, corpus: Corpus, scene: Scene, layers: Layers) -> Iterator[Trial]:
    """The sounds a scene is heard with; its own first."""
    nothing = np.zeros(layers.shape, bool)
    own = scene.sources_at(TIME)
    kind = "one source" if len(own) == 1 else "two sources"
    yield Trial(kind, hear(scene.voices, [TIME])[0], np.isin(layers, own))
    noise = noise_voice(rng, SPAN)
    quiet = [n for n in scene.silent_sources() if n in corpus.sounding]
    if quiet:
        name = quiet[rng.integers(len(quiet))]
        shown = [i for i, t in enumerate(scene.things) if t.cutout.group == name]
        yield Trial("silent object's sound", _sound_of(rng, corpus, name, noise), np.isin(layers, shown))
    in_view = {t.cutout.group for t in scene.things}
    absent = [n for n in corpus.sounding if n not in in_view]
    if absent:
        yield Trial("absent class", _sound_of(rng, corpus, str(rng.choice(absent)), noise), nothing)
    yield Trial("silence", hear((), [TIME])[0], nothing)
    yield Trial("faint noise", hear((noise,), [TIME])[0], nothing)


def _sound_of(rng: np.random.Generator, corpus: Corpus, name: str, noise: Voice) -> np.ndarray:
    return hear((draw_voice(rng, corpus, name, SPAN, augment=False), noise), [TIME])[0]


@torch.inference_mode()
def run_trials(model: SAVE, picture: U8, trials: list[Trial]) -> Tensor:
    """Probabilities at the picture's size, f32 [trials,S,S]."""
    image = torch.from_numpy(picture).permute(2, 0, 1).expand(len(trials), -1, -1, -1)
    patches = torch.from_numpy(np.stack([t.patch for t in trials])).unsqueeze(1)
    with torch.autocast(model.device.type, torch.bfloat16, enabled=model.precision == "bf16"):
        logits = model(image.to(model.device), patches.to(model.device))
    full = F.interpolate(logits.float(), picture.shape[:2], mode="bilinear", align_corners=False)
    return full[:, 0].sigmoid().cpu()


def _has_new_look(scene: Scene) -> bool:
    return all(scene.things[i].cutout.held_out for i in scene.sources_at(TIME))


def _record(rows: dict[str, list[float]], trial: Trial, prob: Tensor, new_look: bool) -> None:
    found = (prob > 0.5).numpy()
    if not trial.truth.any():  # nothing should be marked (or the source is hidden, which says nothing)
        if trial.kind in {"absent class", "silence", "faint noise"}:
            rows[trial.kind].append(float(found.mean()))
        return
    iou = float((found & trial.truth).sum() / (found | trial.truth).sum())
    rows[trial.kind].append(iou)
    if trial.kind in {"one source", "two sources"}:
        rows["all"].append(iou)
        if new_look:
            rows["new look"].append(iou)
