"""How well a model does on composed scenes, and whether it listens.

Every scene is heard five times: with its own sound; with the sound of a silent object in view, which the mask
must follow; with the sound of a class that is not in view; with digital silence; with faint noise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from save_avs.audio.frontend import Frontend
from save_avs.evaluation.statistics import Figure, bootstrap_mean
from save_avs.metrics.frame_scores import frame_f_curves
from save_avs.metrics.mask_metrics import best_f_score
from save_avs.models.save import SAVE
from save_avs.synthesis.calibration_frames import OPTIONS, TIME
from save_avs.synthesis.corpus import Corpus
from save_avs.synthesis.render import InstanceMap, render_scene
from save_avs.synthesis.scene import (
    AudioSource,
    Scene,
    SceneOptions,
    random_audio_source,
    random_noise,
    random_scene,
)
from save_avs.synthesis.streams import scene_log_mel
from save_avs.types import U8

SPAN = (0.0, 1.2)
EXAMPLES = 12

OWN = ("one source", "two sources")  # kinds of trials with the scene's own sound
EMPTY = ("absent class", "silence", "faint noise")  # kinds that no pixel belongs to
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


@dataclass(frozen=True)
class Trial:
    """One picture under one sound: what it is about, and the pixels that should be marked, bool [S,S]."""

    kind: str
    patch: np.ndarray
    truth: np.ndarray


class TrialScore(NamedTuple):
    """What a trial came to.

    Attributes:
        scene: number of its scene.
        kind: of the trial.
        value: IoU; of the kinds in ``EMPTY`` the share of the picture that was marked.
        share: of the picture that should be marked.
        new_look: whether training saw none of what sounds.
    """

    scene: int
    kind: str
    value: float
    share: float
    new_look: bool


@dataclass(frozen=True)
class DrawnScene:
    """A scene, drawn and painted: picture u8 [S,S,3], and layers at the size masks are compared at."""

    rng: np.random.Generator
    scene: Scene
    picture: U8
    instances: InstanceMap


@dataclass
class SceneReport:
    """What came out.

    Attributes:
        scenes: how many pictures.
        with_silent_object: share of them in which an object that could be heard, or never is, is silent.
        figures: IoU or marked share by kind of trial.
        f_score: the benchmark's F over the scenes' own sounds, protocol ``dataset``.
        examples: (picture, truth, mask) of a few scenes, each [S,S,...].
        trials: what the figures are means of.
    """

    scenes: int
    with_silent_object: float
    figures: dict[str, Figure]
    f_score: float
    examples: list[tuple[U8, np.ndarray, np.ndarray]] = field(default_factory=list)
    trials: list[TrialScore] = field(default_factory=list)


def evaluate_scenes(
    model: SAVE,
    corpus: Corpus,
    *,
    scenes: int,
    seed: int,
    options: SceneOptions = OPTIONS,
    compare_at: int | None = None,
    progress: Callable[[int], None] = lambda _: None,
) -> SceneReport:
    """Draw ``scenes`` scenes of a corpus from a seed and try every sound on each.

    Args:
        model: in evaluation mode.
        corpus: of one split.
        scenes: how many.
        seed: what they are drawn from.
        options: how they are drawn.
        compare_at: side in pixels at which masks meet their truth; the model's own where None.
        progress: called after each scene with the number done.
    """
    found: list[TrialScore] = []
    curves: list[Tensor] = []
    silent, examples = 0, []
    drawn = draw_scenes(
        corpus, options, scenes=scenes, seed=seed, size=model.image_size, compare_at=compare_at
    )
    for i, one in enumerate(drawn):
        trials = list(draw_trials(one.rng, corpus, one.scene, one.instances, model.frontend))
        probs = run_trials(model, one.picture, trials)
        scores = (score_trial(i, one.scene, trial, prob) for trial, prob in zip(trials, probs, strict=True))
        found += [score for score in scores if score is not None]
        own = torch.from_numpy(trials[0].truth)
        curves.append(frame_f_curves(probs[:1], own[None]))
        silent += len(one.scene.sounding_at(TIME)) < len(one.scene.objects)
        if len(examples) < EXAMPLES:
            examples.append((one.picture, trials[0].truth, (probs[0] > 0.5).numpy()))
        progress(i + 1)
    f_score = best_f_score(torch.cat(curves).numpy())
    return SceneReport(scenes, silent / scenes, figures_of(found), f_score, examples, found)


def draw_scenes(
    corpus: Corpus, options: SceneOptions, *, scenes: int, seed: int, size: int, compare_at: int | None = None
) -> Iterator[DrawnScene]:
    """Scene i is drawn from (seed, i) alone, and is the same at every size."""
    for i in range(scenes):
        rng = np.random.default_rng((seed, i))
        scene = random_scene(rng, corpus, options)
        picture, instances = render_scene(scene, TIME, size, size)
        if compare_at is not None and compare_at != size:
            _, instances = render_scene(scene, TIME, compare_at, compare_at)
        yield DrawnScene(rng, scene, picture, instances)


def draw_trials(
    rng: np.random.Generator, corpus: Corpus, scene: Scene, instances: InstanceMap, frontend: Frontend
) -> Iterator[Trial]:
    """The sounds a scene is heard with; its own first."""
    nothing = np.zeros(instances.shape, bool)
    own = scene.sounding_at(TIME)
    yield Trial(
        OWN[len(own) > 1], scene_log_mel(scene.audio_sources, [TIME], frontend)[0], np.isin(instances, own)
    )
    noise = random_noise(rng, SPAN)
    quiet = [n for n in scene.silent_classes() if n in corpus.sounding]
    if quiet:
        name = quiet[rng.integers(len(quiet))]
        shown = [i for i, t in enumerate(scene.objects) if t.cutout.group == name]
        sound = scene_log_mel(_voices_of(rng, corpus, name, noise), [TIME], frontend)[0]
        yield Trial("silent object's sound", sound, np.isin(instances, shown))
    in_view = {t.cutout.group for t in scene.objects}
    absent = [n for n in corpus.sounding if n not in in_view]
    if absent:
        sound = scene_log_mel(_voices_of(rng, corpus, str(rng.choice(absent)), noise), [TIME], frontend)[0]
        yield Trial("absent class", sound, nothing)
    yield Trial("silence", scene_log_mel((), [TIME], frontend)[0], nothing)
    yield Trial("faint noise", scene_log_mel((noise,), [TIME], frontend)[0], nothing)


def _voices_of(
    rng: np.random.Generator, corpus: Corpus, name: str, noise: AudioSource
) -> tuple[AudioSource, ...]:
    return random_audio_source(rng, corpus, name, SPAN, augment=False), noise


@torch.inference_mode()
def run_trials(model: SAVE, picture: U8, trials: Sequence[Trial]) -> Tensor:
    """Probabilities at the truth's size, f32 [trials,S,S]."""
    image = torch.from_numpy(picture).permute(2, 0, 1).expand(len(trials), -1, -1, -1)
    log_mel = torch.from_numpy(np.stack([t.patch for t in trials])).unsqueeze(1)
    with torch.autocast(model.device.type, torch.bfloat16, enabled=model.precision == "bf16"):
        logits = model(image.to(model.device), log_mel.to(model.device))
    return probabilities(logits, trials[0].truth.shape)


def probabilities(logits: Tensor, size: tuple[int, ...]) -> Tensor:
    """Logits [B,1,M,M] to probabilities of a size, f32 [B,S,S] on the CPU."""
    full = F.interpolate(logits.float(), size, mode="bilinear", align_corners=False)
    return full[:, 0].sigmoid().cpu()


def score_trial(number: int, scene: Scene, trial: Trial, prob: Tensor) -> TrialScore | None:
    """Score a trial of scene ``number``; None where what sounds is hidden, which says nothing."""
    found = (prob > 0.5).numpy()
    new_look = all(scene.objects[i].cutout.held_out for i in scene.sounding_at(TIME))
    share = float(trial.truth.mean())
    if trial.kind in EMPTY:
        return TrialScore(number, trial.kind, float(found.mean()), share, new_look)
    if not share:
        return None
    iou = float((found & trial.truth).sum() / (found | trial.truth).sum())
    return TrialScore(number, trial.kind, iou, share, new_look)


def figures_of(trials: Sequence[TrialScore]) -> dict[str, Figure]:
    """Means by kind of trial, with intervals over scenes; only of what there is."""
    own = [t for t in trials if t.kind in OWN]
    groups = {kind: [t for t in trials if t.kind == kind] for kind in LABELS}
    groups |= {"all": own, "new look": [t for t in own if t.new_look]}
    return {name: bootstrap_mean([t.value for t in group]) for name, group in groups.items() if group}
