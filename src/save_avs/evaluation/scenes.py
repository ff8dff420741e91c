"""A model on composed scenes: how well its masks fit, and whether they follow the sound.

Every scene is paired with five sounds: its own; that of a silent object in view, which the mask must follow;
that of a class not in view; digital silence; faint noise.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from save_avs._files import atomic_write
from save_avs._text import json_document, markdown_table
from save_avs.audio.frontend import Frontend
from save_avs.metrics.bootstrap_and_permutation import Estimate, bootstrap_mean
from save_avs.metrics.frame_scores import frame_f_curves
from save_avs.metrics.mask_metrics import best_f_score
from save_avs.models.save import SAVE
from save_avs.synthesis.corpus import Corpus
from save_avs.synthesis.render import InstanceMap, render_scene
from save_avs.synthesis.sample_streams import EVAL_OPTIONS, EVAL_TIME, scene_log_mel
from save_avs.synthesis.scene import (
    AudioSource,
    Scene,
    SceneOptions,
    random_audio_source,
    random_noise,
    random_scene,
)
from save_avs.types import F32, U8, Bool
from save_avs.visualization.contact_sheet import TARGET_LEGEND, Tile, draw_contact_sheet
from save_avs.visualization.overlay import TARGET_COLOR, draw_mask

SPAN = (0.0, 1.2)  # seconds of sound around the frame
EXAMPLES, EXAMPLE_COLUMNS = 12, 4

OWN_SOUND = ("one source", "two sources")  # kinds of trials with the scene's own sound
EMPTY_TARGET = ("absent class", "silence", "faint noise")  # kinds of trials in which nothing should be marked
METRIC_TITLES = {
    "one source": "mIoU, one sounding object",
    "two sources": "mIoU, two sounding objects",
    "all": "mIoU, all scenes",
    "unseen appearance": "mIoU, appearances not seen in training",
    "silent object's sound": "mIoU to a silent object, given its sound",
    "absent class": "pixels marked, sound of a class not in view",
    "silence": "pixels marked, digital silence",
    "faint noise": "pixels marked, faint noise",
}


@dataclass(frozen=True)
class SoundTrial:
    """A scene under one sound."""

    kind: str  # of the sound, see `METRIC_TITLES`
    log_mel: F32  # of the sound, f32 [frames,bands]
    target: Bool  # pixels that should be marked, bool [S,S]


class TrialScore(NamedTuple):
    """The score of a trial."""

    scene: int  # index of its scene
    kind: str  # of the trial
    value: float  # IoU; for the kinds in ``EMPTY_TARGET`` the share of the frame that was marked
    target_area: float  # share of the frame that should be marked
    unseen_appearance: bool  # whether training saw none of the sounding objects' cutouts


@dataclass(frozen=True)
class RenderedScene:
    """A scene with its frame, u8 [S,S,3], and its instance map at the size at which masks are compared."""

    rng: np.random.Generator
    scene: Scene
    frame: U8
    instances: InstanceMap


@dataclass
class SceneReport:
    """Result of `evaluate_scenes`."""

    scenes: int  # number of scenes
    with_silent_object: float  # share of the scenes in which at least one object is silent
    metrics: dict[str, Estimate]  # IoU or marked share by kind of trial
    f_score: float  # the benchmark's F over the scenes' own sounds, protocol ``dataset``
    # (frame, target, predicted mask) of a few scenes, each [S,S,...]
    examples: list[tuple[U8, Bool, Bool]] = field(default_factory=list)
    # scores of single trials, whose means ``metrics`` holds
    trials: list[TrialScore] = field(default_factory=list)

    def table(self, info: dict[str, Any]) -> str:
        """Format the metrics as Markdown with 95 % bootstrap intervals over scenes, ``info`` above them."""
        heading = ", ".join(f"{key} {value}" for key, value in info.items())
        rows = [
            (METRIC_TITLES[name], f"{m.value:.3f}", f"{m.low:.3f} to {m.high:.3f}", f"{m.count}")
            for name, m in self.metrics.items()
        ]
        rows.append(
            ("F-score (benchmark's, protocol `dataset`)", f"{self.f_score:.3f}", "", f"{self.scenes}")
        )
        return (
            f"{heading}; {self.scenes} scenes, {self.with_silent_object:.0%} of them with a silent object."
            "\n\n"
            f"{markdown_table(('metric', 'mean', '95 % interval', 'scenes'), rows)}\n"
        )

    def save(self, folder: str | Path, info: dict[str, Any]) -> Path:
        """Write report.json, report.md and examples.png; ``info`` names model, data, split and seed."""
        folder = Path(folder)
        document = {
            **info,
            "scenes": self.scenes,
            "with_silent_object": self.with_silent_object,
            "f_score": self.f_score,
            "metrics": {name: asdict(metric) for name, metric in self.metrics.items()},
        }
        atomic_write(folder / "report.json", json_document(document))
        atomic_write(folder / "report.md", self.table(info))
        tiles = [
            Tile((draw_mask(frame, target, TARGET_COLOR), draw_mask(frame, pred)))
            for frame, target, pred in self.examples
        ]
        draw_contact_sheet(
            folder / "examples.png",
            tiles,
            title=f"{info.get('model', '')} on composed scenes",
            columns=EXAMPLE_COLUMNS,
            legend=TARGET_LEGEND,
        )
        return folder


def evaluate_scenes(
    model: SAVE,
    corpus: Corpus,
    *,
    scenes: int,
    seed: int,
    options: SceneOptions = EVAL_OPTIONS,
    compare_at: int | None = None,
    progress: Callable[[int], None] = lambda _: None,
) -> SceneReport:
    """Score a model on random scenes, each under every kind of sound.

    Masks are compared at ``compare_at`` pixels a side, by default at the model's own size. ``progress``
    receives the number of scenes done.
    """
    scores: list[TrialScore] = []
    curves: list[Tensor] = []
    silent, examples = 0, []
    rendered = random_rendered_scenes(
        corpus, options, scenes=scenes, seed=seed, size=model.image_size, compare_at=compare_at
    )
    for i, one in enumerate(rendered):
        trials = list(random_trials(one.rng, corpus, one.scene, one.instances, model.frontend))
        probs = predict_trials(model, one.frame, trials)
        pairs = zip(trials, probs, strict=True)
        scores += [s for trial, prob in pairs if (s := score_trial(i, one.scene, trial, prob)) is not None]
        target = trials[0].target
        curves.append(frame_f_curves(probs[:1], torch.from_numpy(target)[None]))
        silent += len(one.scene.sounding_at(EVAL_TIME)) < len(one.scene.objects)
        if len(examples) < EXAMPLES:
            examples.append((one.frame, target, (probs[0] > 0.5).numpy()))
        progress(i + 1)
    f_score = best_f_score(torch.cat(curves).numpy())
    return SceneReport(scenes, silent / scenes, summarize_trials(scores), f_score, examples, scores)


def random_rendered_scenes(
    corpus: Corpus, options: SceneOptions, *, scenes: int, seed: int, size: int, compare_at: int | None = None
) -> Iterator[RenderedScene]:
    """Yield scenes; scene i depends on (seed, i) alone and is the same at every size."""
    for i in range(scenes):
        rng = np.random.default_rng((seed, i))
        scene = random_scene(rng, corpus, options)
        frame, instances = render_scene(scene, EVAL_TIME, size, size)
        if compare_at is not None and compare_at != size:
            _, instances = render_scene(scene, EVAL_TIME, compare_at, compare_at)
        yield RenderedScene(rng, scene, frame, instances)


def random_trials(
    rng: np.random.Generator, corpus: Corpus, scene: Scene, instances: InstanceMap, frontend: Frontend
) -> Iterator[SoundTrial]:
    """Yield a scene under every kind of sound, its own first."""

    def log_mel(*audio_sources: AudioSource) -> F32:
        return scene_log_mel(audio_sources, [EVAL_TIME], frontend)[0]

    def source(name: str) -> AudioSource:
        return random_audio_source(rng, corpus, name, SPAN, augment=False)

    nothing = np.zeros(instances.shape, bool)
    own = scene.sounding_at(EVAL_TIME)
    yield SoundTrial(OWN_SOUND[len(own) > 1], log_mel(*scene.audio_sources), np.isin(instances, own))
    noise = random_noise(rng, SPAN)
    silent = [n for n in scene.silent_classes() if n in corpus.sounding]
    if silent:
        name = silent[rng.integers(len(silent))]
        in_view = [i for i, o in enumerate(scene.objects) if o.cutout.group == name]
        yield SoundTrial("silent object's sound", log_mel(source(name), noise), np.isin(instances, in_view))
    groups = {o.cutout.group for o in scene.objects}
    absent = [n for n in corpus.sounding if n not in groups]
    if absent:
        yield SoundTrial("absent class", log_mel(source(str(rng.choice(absent))), noise), nothing)
    yield SoundTrial("silence", log_mel(), nothing)
    yield SoundTrial("faint noise", log_mel(noise), nothing)


@torch.inference_mode()
def predict_trials(model: SAVE, frame: U8, trials: Sequence[SoundTrial]) -> Tensor:
    """Return probabilities at the target's size, f32 [trials,S,S]."""
    images = torch.from_numpy(frame).permute(2, 0, 1).expand(len(trials), -1, -1, -1)
    log_mel = torch.from_numpy(np.stack([t.log_mel for t in trials])).unsqueeze(1)
    with torch.autocast(model.device.type, torch.bfloat16, enabled=model.precision == "bf16"):
        logits = model(images.to(model.device), log_mel.to(model.device))
    return upscaled_probabilities(logits, trials[0].target.shape)


def upscaled_probabilities(logits: Tensor, size: tuple[int, ...]) -> Tensor:
    """Resize logits [B,1,M,M] and return probabilities, f32 [B,S,S] on the CPU."""
    full = F.interpolate(logits.float(), size, mode="bilinear", align_corners=False)
    return full[:, 0].sigmoid().cpu()


def score_trial(index: int, scene: Scene, trial: SoundTrial, prob: Tensor) -> TrialScore | None:
    """Score a trial of scene ``index``; None where the sounding object is hidden, which tells nothing."""
    pred = (prob > 0.5).numpy()
    unseen = all(scene.objects[i].cutout.held_out for i in scene.sounding_at(EVAL_TIME))
    area = float(trial.target.mean())
    if trial.kind in EMPTY_TARGET:
        return TrialScore(index, trial.kind, float(pred.mean()), area, unseen)
    if not area:
        return None
    iou = float((pred & trial.target).sum() / (pred | trial.target).sum())
    return TrialScore(index, trial.kind, iou, area, unseen)


def summarize_trials(trials: Sequence[TrialScore]) -> dict[str, Estimate]:
    """Mean by kind of trial, with intervals over scenes; kinds without trials are left out."""
    own = [t for t in trials if t.kind in OWN_SOUND]
    groups = {kind: [t for t in trials if t.kind == kind] for kind in METRIC_TITLES}
    groups |= {"all": own, "unseen appearance": [t for t in own if t.unseen_appearance]}
    return {name: bootstrap_mean([t.value for t in group]) for name, group in groups.items() if group}
