"""Composed scenes as a data set of clips: in each, one class of a corpus sounds, silent things beside it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from save_avs.audio.front_end import VGGISH, FrontEnd
from save_avs.data.clipset import ClipFacts
from save_avs.data.corpus import Corpus
from save_avs.data.scene import Scene, SceneOptions, draw_scene
from save_avs.data.streams import sample_scene
from save_avs.evaluation.scenes import OPTIONS, TIME
from save_avs.types import AVSample

PLAIN = replace(OPTIONS, sources=(0.0, 1.0, 0.0))
VARIED = SceneOptions(sources=(0.0, 1.0, 0.0))  # as training draws them
VISIBLE = 0.005  # least share of the picture that a class must cover to be an example of itself
TRIES = 1000  # scenes drawn, at most, for each that is wanted


@dataclass(frozen=True)
class SceneClips:
    """Scenes of one frame each, as many of every sounding class; a :class:`save_avs.data.clipset.ClipSet`.

    Attributes:
        scenes: the plans, class by class as they were drawn.
        categories: what sounds in each.
        size: side of the pictures, pixels.
        front_end: that they are heard through.
        name: of the data set.
        split: whose cutouts and sounds they are made of.
        classes: none: its truths are masks.
    """

    scenes: tuple[Scene, ...]
    categories: tuple[str, ...]
    size: int
    front_end: FrontEnd = VGGISH
    name: str = "scenes"
    split: str = "zero-shot"
    classes: tuple[str, ...] = ()

    @classmethod
    def draw(
        cls,
        corpus: Corpus,
        options: SceneOptions,
        *,
        size: int,
        each: int,
        seed: int,
        front_end: FrontEnd = VGGISH,
    ) -> Self:
        """Draw scenes until each sounding class of the corpus has ``each``: scene i from (seed, i) alone."""
        counts: Counter[str] = Counter()
        kept: list[tuple[Scene, str]] = []
        for i in range(TRIES * each * len(corpus.sounding)):
            scene = draw_scene(np.random.default_rng((seed, i)), corpus, options)
            category = scene.things[scene.sources_at(TIME)[0]].cutout.group
            if counts[category] < each and _visible(scene):
                counts[category] += 1
                kept.append((scene, category))
            if len(kept) == each * len(corpus.sounding):
                break
        return cls(tuple(scene for scene, _ in kept), tuple(name for _, name in kept), size, front_end)

    def __len__(self) -> int:
        return len(self.scenes)

    def __getitem__(self, i: int) -> AVSample:
        scene = sample_scene(self.scenes[i], [TIME], self.size, f"scene-{i}", front_end=self.front_end)
        return scene[0]

    def facts(self, i: int) -> ClipFacts:
        """What sounds; every scene is a source of its own."""
        return ClipFacts(f"scene-{i}", f"scene-{i}", (self.categories[i],))


def _visible(scene: Scene) -> bool:
    """Whether enough is seen of what sounds, looked at in small."""
    from save_avs.data.paint import paint

    _, layers = paint(scene, TIME, 64, 64)
    return bool(np.isin(layers, scene.sources_at(TIME)).mean() > VISIBLE)
