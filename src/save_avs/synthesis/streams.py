"""Endless training data, composed on the fly: item i is drawn from (seed, i) alone, so any run can resume."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from save_avs.audio.frontend import VGGISH, Frontend
from save_avs.audio.log_mel import log_mel_at
from save_avs.synthesis.audio_mix import mix_audio
from save_avs.synthesis.corpus import RATE, Corpus
from save_avs.synthesis.render import InstanceMap, render_scene
from save_avs.synthesis.scene import (
    AudioSource,
    Scene,
    SceneOptions,
    random_audio_sources,
    random_noise,
    random_scene,
)
from save_avs.types import F32, U8, AVSample, Bool

NOISELESS = 0.25  # share of training scenes without background noise: digital silence must be known too
JITTER_S = 0.3  # how far from the middle of its segment a training frame may stand
SPARE_S = 0.0025  # of sound composed on both sides of a patch


def scene_log_mel(
    audio_sources: tuple[AudioSource, ...], times: list[float], frontend: Frontend = VGGISH
) -> F32:
    """The patch centered at each time, f32 [T,frames,bands]."""
    reach = frontend.duration / 2 + SPARE_S
    stretches = [(t, t - reach, mix_audio(audio_sources, t - reach, t + reach)) for t in times]
    return np.concatenate(
        [log_mel_at(waveform, RATE, [t], start, frontend) for t, start, waveform in stretches]
    )


class SceneSample(NamedTuple):
    """A clip and what stands where in it: layers i8 [T,S,S], and the group index of each layer."""

    sample: AVSample
    instances: InstanceMap
    groups: tuple[int, ...]


def group_names(corpus: Corpus) -> tuple[str, ...]:
    """The groups of cutouts in the order in which streams number them."""
    return tuple(sorted(corpus.cutouts))


def _numbers(scene: Scene, corpus: Corpus) -> tuple[int, ...]:
    order = {group: k for k, group in enumerate(group_names(corpus))}
    return tuple(order[thing.cutout.group] for thing in scene.objects)


def render_sample(
    scene: Scene, times: list[float], size: int, name: str, *, frontend: Frontend = VGGISH
) -> tuple[AVSample, InstanceMap]:
    """Frames of a scene at the given times with exact masks, and what each pixel shows, i8 [T,S,S]."""
    still = not any(any(thing.velocity) for thing in scene.objects)
    painted = [render_scene(scene, t, size, size) for t in (times[:1] if still else times)]
    painted *= len(times) if still else 1
    masks = [
        np.isin(instances, scene.sounding_at(t)) for (_, instances), t in zip(painted, times, strict=True)
    ]
    sample = AVSample(
        name=name,
        frames=np.stack([frame for frame, _ in painted]),
        log_mel=scene_log_mel(scene.audio_sources, times, frontend),
        masks=np.stack(masks),
        has_mask=np.ones(len(times), bool),
        valid=np.ones(len(times), bool),
    )
    return sample, np.stack([instances for _, instances in painted])


@dataclass(frozen=True)
class SceneStream:
    """Scenes under ``views`` different sounds each, one clip an item."""

    corpus: Corpus
    options: SceneOptions
    size: int
    views: int = 2
    seed: int = 0
    frontend: Frontend = VGGISH

    def __getitem__(self, i: int) -> SceneSample:
        rng = np.random.default_rng((self.seed, i))
        scene = random_scene(rng, self.corpus, self.options, segments=self.views)
        times = [t + float(rng.uniform(-JITTER_S, JITTER_S)) for t in scene.segments]
        if rng.random() < NOISELESS:
            scene = scene.with_audio_sources(tuple(v for v in scene.audio_sources if v.name is not None))
        name = f"scene-{self.seed}-{i}"
        sample, instances = render_sample(scene, times, self.size, name, frontend=self.frontend)
        return SceneSample(sample, instances, _numbers(scene, self.corpus))


class PromptSample(NamedTuple):
    """A picture, what stands where, and one thing of it to be segmented.

    image u8 [S,S,3]; layers i8 [S,S]; groups: group index of each layer; mask bool [S,S] of the chosen thing;
    point f32 (x, y) in it and box f32 (x0, y0, x1, y1) loosely around it, pixels; by_box: which of them asks.
    """

    image: U8
    instances: InstanceMap
    groups: tuple[int, ...]
    mask: Bool
    point: F32
    box: F32
    by_box: bool


@dataclass(frozen=True)
class PromptStream:
    """Pictures of cutouts of all kinds, without sound, for SAM's pre-training."""

    corpus: Corpus
    options: SceneOptions
    size: int
    seed: int = 0

    def __getitem__(self, i: int) -> PromptSample:
        rng = np.random.default_rng((self.seed, i))
        scene = random_scene(rng, self.corpus, self.options)
        image, instances = render_scene(scene, 0.0, self.size, self.size)
        groups = _numbers(scene, self.corpus)
        return PromptSample(
            image, instances, groups, *_choose(rng, instances, len(groups)), by_box=i % 2 == 1
        )


def _choose(rng: np.random.Generator, instances: InstanceMap, objects: int) -> tuple[Bool, F32, F32]:
    """Mask, point and box of one thing that can be seen."""
    areas = np.array([(instances == i).sum() for i in range(objects)])
    visible = np.flatnonzero(areas > 16)
    mask = instances == (rng.choice(visible) if len(visible) else areas.argmax())
    ys, xs = np.nonzero(mask) if mask.any() else (np.zeros(1), np.zeros(1))
    k = rng.integers(len(ys))
    point = np.array([xs[k], ys[k]], np.float32)
    box = np.array([xs.min(), ys.min(), xs.max(), ys.max()], np.float32)
    slack = 0.08 * np.array([box[2] - box[0], box[3] - box[1]] * 2)
    return mask, point, (box + rng.uniform(-1, 1, 4) * slack).astype(np.float32)


class AudioTaggingSample(NamedTuple):
    """A patch f32 [frames,bands] and which classes are heard in it, f32 [classes]."""

    patch: F32
    targets: F32


@dataclass(frozen=True)
class AudioTaggingStream:
    """Mixtures of up to two classes, for the audio backbone's pre-training."""

    corpus: Corpus
    options: SceneOptions
    seed: int = 0
    frontend: Frontend = VGGISH

    def __getitem__(self, i: int) -> AudioTaggingSample:
        rng = np.random.default_rng((self.seed, i))
        span = (0.0, 1.2)
        names = [self.corpus.sounding[k] for k in rng.permutation(len(self.corpus.sounding))[:2]]
        audio_sources = random_audio_sources(rng, self.corpus, self.options, names, span)
        noise = random_noise(rng, span)
        time = 0.6 + float(rng.uniform(-JITTER_S, JITTER_S))
        heard = {v.name for v in audio_sources}
        labels = np.array([name in heard for name in self.corpus.sounding], np.float32)
        return AudioTaggingSample(scene_log_mel((*audio_sources, noise), [time], self.frontend)[0], labels)
