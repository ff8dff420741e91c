"""Trials on composed scenes, for which the target is known under every sound."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from save_avs.audio.augment import mix_at_snr
from save_avs.audio.frontend import VGGISH, Frontend
from save_avs.audio.log_mel import SAMPLE_RATE, log_mel_at
from save_avs.synthesis.corpus import Corpus
from save_avs.synthesis.render import mix_audio, render_scene
from save_avs.synthesis.scene import (
    AudioSource,
    Scene,
    SceneOptions,
    random_audio_source,
    random_noise,
    random_scene,
)
from save_avs.types import F32, Bool
from studies.audio_sensitivity import trials as conditions
from studies.audio_sensitivity.distractors import with_distractors
from studies.audio_sensitivity.trials import SensitivityTrial, TestFrame

TURN_S = 2.4  # duration of a turn in scenes whose objects take turns sounding
SHIFTS_S = (0.0, 0.4, 0.8, 1.0, 1.2, 1.4, 1.6, 2.0, TURN_S)
SNRS_DB = (20.0, 10.0, 5.0, 0.0, -5.0, -10.0)
MAX_DISTRACTORS = 3
CONTEXT_S = 0.6  # of sound before and after a frame, more than any front-end takes

_SPAN = (0.0, 1.2)
_TIME = 0.6  # the middle of it
_SINGLE_TURN = SceneOptions(source_count_probs=(0.0, 0.5, 0.5), augment=False, texture_prob=0.0)
_TWO_TURNS = SceneOptions(
    num_objects=(2, 4), source_count_probs=(0.0, 1.0, 0.0), augment=False, texture_prob=0.0
)
_ONE_OBJECT = SceneOptions(
    num_objects=(1, 1),
    object_size=(0.3, 0.6),
    source_count_probs=(0.0, 1.0, 0.0),
    augment=False,
    texture_prob=0.0,
)


def scene_trials(
    corpus: Corpus, *, scenes: int, seed: int, side: int, frontend: Frontend = VGGISH
) -> Iterator[list[SensitivityTrial]]:
    """Yield the trials of each scene: three scenes per number, which depend on (seed, number) alone.

    Args:
        corpus: that scenes are made of.
        scenes: number of scenes of each kind.
        seed: of the scenes.
        side: of the frames, pixels.
        frontend: of the models.
    """
    for i in range(scenes):
        for k, make in enumerate((_swaps_and_mixtures, _shifts, _distractors)):
            trials = make(np.random.default_rng((seed, i, k)), corpus, f"{i}-{k}", side, frontend)
            if trials:
                yield trials


def _swaps_and_mixtures(
    rng: np.random.Generator, corpus: Corpus, name: str, side: int, frontend: Frontend
) -> list[SensitivityTrial]:
    """A scene with its own sound, wrong ones, none, and its own mixed with others."""
    scene = random_scene(rng, corpus, _SINGLE_TURN)
    rendered = _RenderedScene(scene, name, side, frontend)
    if not rendered.sounding(_TIME).any():
        return []
    noise = random_noise(rng, _SPAN)
    nothing = np.zeros((side, side), bool)
    own = _mix(scene.audio_sources)
    description = ", ".join(rendered.classes(_TIME))
    trials = [rendered.trial(conditions.MATCHED, own, rendered.sounding(_TIME), description=description)]
    silent = [n for n in scene.silent_classes() if n in corpus.sounding and rendered.pixels_of(n).any()]
    if silent:
        other = str(rng.choice(silent))
        waveform = _mix((_source(rng, corpus, other), noise))
        trials.append(
            rendered.trial(conditions.IN_VIEW, waveform, rendered.pixels_of(other), description=other)
        )
    absent = [n for n in corpus.sounding if n not in {o.cutout.group for o in scene.objects}]
    if absent:
        other = str(rng.choice(absent))
        source = _source(rng, corpus, other)
        waveform = _mix((source, noise))
        trials.append(rendered.trial(conditions.ABSENT, waveform, nothing, description=other))
        trials += rendered.mixtures(conditions.MIXED, own, _mix((source,)))
    trials += rendered.mixtures(conditions.MIXED_NOISE, own, _mix((random_noise(rng, _SPAN),)))
    trials.append(rendered.trial(conditions.NOISE, _mix((noise,)), nothing))
    trials.append(rendered.trial(conditions.MUTED, np.zeros_like(own), nothing))
    return trials


def _shifts(
    rng: np.random.Generator, corpus: Corpus, name: str, side: int, frontend: Frontend
) -> list[SensitivityTrial]:
    """A frame in the first of two objects' turns, with later and later sound, in the end the second object's.

    No trials if the two are not different objects, or one is hidden.
    """
    scene = random_scene(rng, corpus, _TWO_TURNS, segments=2, segment_s=TURN_S)
    rendered = _RenderedScene(scene, name, side, frontend)
    now, later = scene.segments
    first, second = rendered.sounding(now), rendered.sounding(later)
    if not first.any() or not second.any() or (first & second).any():
        return []
    return [
        rendered.trial(
            conditions.SHIFTED, _mix(scene.audio_sources, now + shift), second, shift, frame_time=now
        )
        for shift in SHIFTS_S
    ]


def _distractors(
    rng: np.random.Generator, corpus: Corpus, name: str, side: int, frontend: Frontend
) -> list[SensitivityTrial]:
    """A single sounding object, with more and more silent ones behind it."""
    scene = random_scene(rng, corpus, _ONE_OBJECT)
    own = _mix(scene.audio_sources)
    full = with_distractors(rng, corpus, scene, MAX_DISTRACTORS, _ONE_OBJECT)
    trials = []
    for count in range(len(full.objects)):
        part = replace(full, objects=full.objects[-1 - count :])
        rendered = _RenderedScene(part, name, side, frontend)
        trials.append(rendered.trial(conditions.DISTRACTORS, own, rendered.sounding(_TIME), count))
    return trials


class _RenderedScene:
    """A scene rendered once, for trials with many sounds."""

    def __init__(self, scene: Scene, name: str, side: int, frontend: Frontend) -> None:
        self._scene, self._name, self._frontend = scene, name, frontend
        self._image, self._instances = render_scene(scene, _TIME, side, side)

    def sounding(self, time: float) -> Bool:
        """Pixels of the objects that sound at a time in the scene's own sound."""
        return np.isin(self._instances, self._scene.sounding_at(time))

    def pixels_of(self, group: str) -> Bool:
        """Pixels of a class."""
        places = [i for i, o in enumerate(self._scene.objects) if o.cutout.group == group]
        return np.isin(self._instances, places)

    def classes(self, time: float) -> tuple[str, ...]:
        """Classes of the objects that sound at a time."""
        return tuple(sorted({self._scene.objects[i].cutout.group for i in self._scene.sounding_at(time)}))

    def trial(
        self,
        condition: str,
        waveform: F32,
        target: Bool,
        level: float = 0.0,
        *,
        frame_time: float = _TIME,
        description: str = "",
    ) -> SensitivityTrial:
        """The scene at a time with a waveform of twice `CONTEXT_S`."""
        objects = len(self._scene.objects)
        frame = TestFrame(self._name, self._name, self.classes(frame_time), objects)
        log_mel = log_mel_at(waveform, SAMPLE_RATE, [CONTEXT_S], frontend=self._frontend)[0]
        own = self.sounding(frame_time)
        return SensitivityTrial(
            frame, condition, float(level), self._image, log_mel, own, target, description
        )

    def mixtures(self, condition: str, own: F32, other: F32) -> list[SensitivityTrial]:
        """The scene with its own sound over another one, louder and louder, that nothing in view makes."""
        target = self.sounding(_TIME)
        return [self.trial(condition, mix_at_snr(own, other, db), target, db) for db in SNRS_DB]


def _source(rng: np.random.Generator, corpus: Corpus, name: str) -> AudioSource:
    return random_audio_source(rng, corpus, name, _SPAN, augment=False)


def _mix(audio_sources: tuple[AudioSource, ...], time: float = _TIME) -> F32:
    return mix_audio(audio_sources, time - CONTEXT_S, time + CONTEXT_S)
