"""Composed scenes under other sounds than their own: what should be marked is known whatever is heard."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

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
from save_avs.types import F32, U8, Bool
from studies.audio_sensitivity import trials as kinds
from studies.audio_sensitivity.distractors import with_distractors
from studies.audio_sensitivity.trials import Item, Trial

TURN_S = 2.4  # how long the same things sound in a scene in which they take turns
SHIFTS_S = (0.0, 0.4, 0.8, 1.0, 1.2, 1.4, 1.6, 2.0, TURN_S)
RATIOS_DB = (20.0, 10.0, 5.0, 0.0, -5.0, -10.0)
MOST_DISTRACTORS = 3
REACH_S = 0.6  # of sound on both sides of a frame: more than any front-end takes

_SPAN = (0.0, 1.2)
_TIME = 0.6  # the middle of it
_PLAIN = SceneOptions(source_count_probs=(0.0, 0.5, 0.5), augment=False, texture_prob=0.0)
_TURNS = SceneOptions(num_objects=(2, 4), source_count_probs=(0.0, 1.0, 0.0), augment=False, texture_prob=0.0)
_LONE = SceneOptions(
    num_objects=(1, 1),
    object_size=(0.3, 0.6),
    source_count_probs=(0.0, 1.0, 0.0),
    augment=False,
    texture_prob=0.0,
)


class View(NamedTuple):
    """How scenes are given: the side of their pictures, pixels, and the front-end they are heard through."""

    side: int
    frontend: Frontend


def scene_trials(
    corpus: Corpus, *, scenes: int, seed: int, side: int, frontend: Frontend = VGGISH
) -> Iterator[list[Trial]]:
    """Three scenes for each number, drawn from (seed, number) alone; the trials of a scene together.

    Args:
        corpus: what scenes are drawn from.
        scenes: how many of each kind.
        seed: what they are drawn from.
        side: of their pictures, pixels.
        frontend: the front-end that they are heard through.
    """
    view = View(side, frontend)
    for i in range(scenes):
        for k, draw in enumerate((_swaps_and_mixtures, _shifts, _crowds)):
            trials = draw(np.random.default_rng((seed, i, k)), corpus, f"{i}-{k}", view)
            if trials:
                yield trials


def _swaps_and_mixtures(rng: np.random.Generator, corpus: Corpus, name: str, view: View) -> list[Trial]:
    """A scene under its own sound, wrong ones, none, and its own over others."""
    scene = random_scene(rng, corpus, _PLAIN)
    ask = _Scene(scene, name, view)
    if not ask.sounding(_TIME).any():
        return []
    noise = random_noise(rng, _SPAN)
    nothing = np.zeros((view.side, view.side), bool)
    own = _wave(scene.audio_sources)
    heard = ", ".join(ask.heard_at(_TIME))
    asked = [ask.about(kinds.MATCHED, own, ask.sounding(_TIME), sound=heard)]
    quiet = [n for n in scene.silent_classes() if n in corpus.sounding and ask.showing(n).any()]
    if quiet:
        other = str(rng.choice(quiet))
        waveform = _wave((_voice(rng, corpus, other), noise))
        asked.append(ask.about(kinds.IN_VIEW, waveform, ask.showing(other), sound=other))
    elsewhere = [n for n in corpus.sounding if n not in {t.cutout.group for t in scene.objects}]
    if elsewhere:
        other = str(rng.choice(elsewhere))
        voice = _voice(rng, corpus, other)
        asked.append(ask.about(kinds.ABSENT, _wave((voice, noise)), nothing, sound=other))
        asked += ask.under(kinds.MIXED, own, _wave((voice,)))
    asked += ask.under(kinds.MIXED_NOISE, own, _wave((random_noise(rng, _SPAN),)))
    asked.append(ask.about(kinds.NOISE, _wave((noise,)), nothing))
    asked.append(ask.about(kinds.MUTED, np.zeros_like(own), nothing))
    return asked


def _shifts(rng: np.random.Generator, corpus: Corpus, name: str, view: View) -> list[Trial]:
    """A scene in which two things take turns, seen in the first's turn, heard later and later.

    What is heard in the end is the second thing's; no trials where the two are not different, or hidden.
    """
    scene = random_scene(rng, corpus, _TURNS, segments=2, segment_s=TURN_S)
    ask = _Scene(scene, name, view)
    now, later = scene.segments
    first, second = ask.sounding(now), ask.sounding(later)
    if not first.any() or not second.any() or (first & second).any():
        return []
    return [
        ask.about(kinds.SHIFTED, _wave(scene.audio_sources, now + shift), second, shift, seen_at=now)
        for shift in SHIFTS_S
    ]


def _crowds(rng: np.random.Generator, corpus: Corpus, name: str, view: View) -> list[Trial]:
    """A lone thing that sounds, and more and more silent ones behind it."""
    scene = random_scene(rng, corpus, _LONE)
    own = _wave(scene.audio_sources)
    crowd = with_distractors(rng, corpus, scene, MOST_DISTRACTORS, _LONE)
    asked = []
    for count in range(len(crowd.objects)):
        ask = _Scene(replace(crowd, objects=crowd.objects[-1 - count :]), name, view)
        asked.append(ask.about(kinds.DISTRACTORS, own, ask.sounding(_TIME), count))
    return asked


class _Scene:
    """A scene painted once, asked about under many sounds."""

    def __init__(self, scene: Scene, name: str, view: View) -> None:
        self.scene, self.name, self.frontend = scene, name, view.frontend
        self.picture: U8
        self.picture, self.instances = render_scene(scene, _TIME, view.side, view.side)

    def sounding(self, time: float) -> Bool:
        """Pixels of what sounds at a time in the scene's own sound."""
        return np.isin(self.instances, self.scene.sounding_at(time))

    def showing(self, group: str) -> Bool:
        """Pixels of a class."""
        return np.isin(
            self.instances, [i for i, t in enumerate(self.scene.objects) if t.cutout.group == group]
        )

    def heard_at(self, time: float) -> tuple[str, ...]:
        """Classes of the things that sound at a time."""
        return tuple(sorted({self.scene.objects[i].cutout.group for i in self.scene.sounding_at(time)}))

    def about(
        self,
        condition: str,
        waveform: F32,
        heard: Bool,
        level: float = 0.0,
        *,
        seen_at: float = _TIME,
        sound: str = "",
    ) -> Trial:
        """The scene as seen at a time, under a sound of twice `REACH_S`."""
        item = Item(self.name, self.name, self.heard_at(seen_at), len(self.scene.objects))
        patch = log_mel_at(waveform, SAMPLE_RATE, [REACH_S], frontend=self.frontend)[0]
        own = self.sounding(seen_at)
        return Trial(item, condition, float(level), self.picture, patch, own, heard, sound)

    def under(self, condition: str, own: F32, other: F32) -> list[Trial]:
        """The scene under its own sound over another one, that nothing in view makes, louder and louder."""
        seen = self.sounding(_TIME)
        return [self.about(condition, mix_at_snr(own, other, db), seen, db) for db in RATIOS_DB]


def _voice(rng: np.random.Generator, corpus: Corpus, name: str) -> AudioSource:
    return random_audio_source(rng, corpus, name, _SPAN, augment=False)


def _wave(audio_sources: tuple[AudioSource, ...], time: float = _TIME) -> F32:
    return mix_audio(audio_sources, time - REACH_S, time + REACH_S)
