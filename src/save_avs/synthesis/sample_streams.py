"""Endless training data, composed on the fly: item i depends only on (seed, i), so any run can resume.

Also the frames of composed scenes on which models are calibrated, timed and evaluated.
"""

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from save_avs.audio.frontend import VGGISH, Frontend
from save_avs.audio.log_mel import SAMPLE_RATE, log_mel_at
from save_avs.synthesis.corpus import Corpus
from save_avs.synthesis.render import InstanceMap, mix_audio, render_scene
from save_avs.synthesis.scene import (
    AudioSource,
    Scene,
    SceneOptions,
    random_audio_sources,
    random_noise,
    random_scene,
)
from save_avs.types import F32, U8, AVSample, Bool

NOISELESS_PROB = 0.25  # of training scenes: digital silence must be known too
JITTER_S = 0.3  # how far from the middle of its segment a training frame may be
MARGIN_S = 0.0025  # of audio composed on both sides of a patch

EVAL_OPTIONS = SceneOptions(source_count_probs=(0.0, 0.5, 0.5), augment=False, texture_prob=0.0)
EVAL_TIME = 0.6  # the middle of a scene of one segment


def scene_log_mel(
    audio_sources: tuple[AudioSource, ...], times: list[float], frontend: Frontend = VGGISH
) -> F32:
    """Compute the log-mel patch centered at each time, f32 [T,frames,bands]."""
    reach = frontend.duration / 2 + MARGIN_S
    waveforms = [(t, t - reach, mix_audio(audio_sources, t - reach, t + reach)) for t in times]
    return np.concatenate(
        [log_mel_at(wave, SAMPLE_RATE, [t], start, frontend) for t, start, wave in waveforms]
    )


def calibration_frames(count: int, size: int, frontend: Frontend, *, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Compose scenes of the bundled corpus: images u8 [N,3,size,size], log-mel f32 [N,1,frames,bands]."""
    corpus = Corpus.load("sample", "train")
    scenes = [random_scene(np.random.default_rng((seed, i)), corpus, EVAL_OPTIONS) for i in range(count)]
    images = np.stack([render_scene(scene, EVAL_TIME, size, size)[0] for scene in scenes])
    patches = np.stack([scene_log_mel(scene.audio_sources, [EVAL_TIME], frontend)[0] for scene in scenes])
    return torch.from_numpy(images).permute(0, 3, 1, 2).contiguous(), torch.from_numpy(patches)[:, None]


class SceneSample(NamedTuple):
    """A clip and its instance maps i8 [T,S,S], with the group index of each instance.

    ``sounds`` says which of the corpus's classes sound in each frame, in view or not, f32 [T,classes].
    """

    sample: AVSample
    instances: InstanceMap
    groups: tuple[int, ...]
    sounds: F32


def group_names(corpus: Corpus) -> tuple[str, ...]:
    """Return the groups of cutouts in the order in which streams number them."""
    return tuple(sorted(corpus.cutouts))


def _group_indices(scene: Scene, corpus: Corpus) -> tuple[int, ...]:
    order = {group: k for k, group in enumerate(group_names(corpus))}
    return tuple(order[item.cutout.group] for item in scene.objects)


def render_sample(
    scene: Scene, times: list[float], size: int, name: str, *, frontend: Frontend = VGGISH
) -> tuple[AVSample, InstanceMap]:
    """Render frames of a scene at the given times with exact masks, and instance maps i8 [T,S,S]."""
    still = not any(any(item.velocity) for item in scene.objects)
    rendered = [render_scene(scene, t, size, size) for t in (times[:1] if still else times)]
    rendered *= len(times) if still else 1
    masks = [
        np.isin(instances, scene.sounding_at(t)) for (_, instances), t in zip(rendered, times, strict=True)
    ]
    sample = AVSample(
        name=name,
        frames=np.stack([frame for frame, _ in rendered]),
        log_mel=scene_log_mel(scene.audio_sources, times, frontend),
        masks=np.stack(masks),
        has_mask=np.ones(len(times), bool),
        valid=np.ones(len(times), bool),
    )
    return sample, np.stack([instances for _, instances in rendered])


@dataclass(frozen=True)
class SceneStream:
    """Scenes with ``views`` different soundtracks each; an item is one clip."""

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
        if rng.random() < NOISELESS_PROB:
            scene = replace(scene, audio_sources=tuple(s for s in scene.audio_sources if s.name is not None))
        name = f"scene-{self.seed}-{i}"
        sample, instances = render_sample(scene, times, self.size, name, frontend=self.frontend)
        heard = [{s.name for s in scene.audio_sources if s.active_at(t)} for t in times]
        sounds = np.array([[name in names for name in self.corpus.sounding] for names in heard], np.float32)
        return SceneSample(sample, instances, _group_indices(scene, self.corpus), sounds)


class PromptSample(NamedTuple):
    """An image, its instance map, and one object of it to segment.

    image u8 [S,S,3]; instances i8 [S,S]; groups: group index of each instance; mask bool [S,S] of the object;
    point f32 (x, y) in it and box f32 (x0, y0, x1, y1) loosely around it, pixels; by_box: which one prompts.
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
    """Images of cutouts of all kinds, without audio, for SAM's pre-training."""

    corpus: Corpus
    options: SceneOptions
    size: int
    seed: int = 0

    def __getitem__(self, i: int) -> PromptSample:
        rng = np.random.default_rng((self.seed, i))
        scene = random_scene(rng, self.corpus, self.options)
        image, instances = render_scene(scene, 0.0, self.size, self.size)
        groups = _group_indices(scene, self.corpus)
        return PromptSample(
            image, instances, groups, *_random_prompt(rng, instances, len(groups)), by_box=i % 2 == 1
        )


def _random_prompt(rng: np.random.Generator, instances: InstanceMap, count: int) -> tuple[Bool, F32, F32]:
    """Draw a visible object: its mask, a point in it and a box around it."""
    areas = np.array([(instances == i).sum() for i in range(count)])
    visible = np.flatnonzero(areas > 16)
    mask = instances == (rng.choice(visible) if len(visible) else areas.argmax())
    ys, xs = np.nonzero(mask) if mask.any() else (np.zeros(1), np.zeros(1))
    k = rng.integers(len(ys))
    point = np.array([xs[k], ys[k]], np.float32)
    box = np.array([xs.min(), ys.min(), xs.max(), ys.max()], np.float32)
    slack = 0.08 * np.array([box[2] - box[0], box[3] - box[1]] * 2)
    return mask, point, (box + rng.uniform(-1, 1, 4) * slack).astype(np.float32)


class AudioTaggingSample(NamedTuple):
    """A log-mel patch f32 [frames,bands], and which classes sound in it, f32 [classes]."""

    log_mel: F32
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
        sounding = {source.name for source in audio_sources}
        targets = np.array([name in sounding for name in self.corpus.sounding], np.float32)
        return AudioTaggingSample(scene_log_mel((*audio_sources, noise), [time], self.frontend)[0], targets)
