"""Composed scenes as a data set of clips: in each, one class of a corpus sounds, silent things beside it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from save_avs.audio.frontend import VGGISH, Frontend
from save_avs.datasets.base import ClipMetadata
from save_avs.synthesis.corpus import Corpus
from save_avs.synthesis.scene import Scene, SceneOptions, random_scene
from save_avs.synthesis.streams import EVAL_OPTIONS, EVAL_TIME, render_sample
from save_avs.types import AVSample

PLAIN = replace(EVAL_OPTIONS, source_count_probs=(0.0, 1.0, 0.0))
VARIED = SceneOptions(source_count_probs=(0.0, 1.0, 0.0))  # as training draws them
VISIBLE = 0.005  # least share of the picture that a class must cover to be an example of itself
TRIES = 1000  # scenes drawn, at most, for each that is wanted


@dataclass(frozen=True)
class SceneClips:
    """Scenes of one frame each, as many of every sounding class; a :class:`save_avs.datasets.base.AVDataset`.

    Attributes:
        scenes: the plans, class by class as they were drawn.
        categories: what sounds in each.
        size: side of the pictures, pixels.
        frontend: that they are heard through.
        name: of the data set.
        split: whose cutouts and sounds they are made of.
        classes: none: its truths are masks.
    """

    scenes: tuple[Scene, ...]
    categories: tuple[str, ...]
    size: int
    frontend: Frontend = VGGISH
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
        frontend: Frontend = VGGISH,
    ) -> Self:
        """Draw scenes until each sounding class of the corpus has ``each``: scene i from (seed, i) alone."""
        counts: Counter[str] = Counter()
        kept: list[tuple[Scene, str]] = []
        for i in range(TRIES * each * len(corpus.sounding)):
            scene = random_scene(np.random.default_rng((seed, i)), corpus, options)
            category = scene.objects[scene.sounding_at(EVAL_TIME)[0]].cutout.group
            if counts[category] < each and _visible(scene):
                counts[category] += 1
                kept.append((scene, category))
            if len(kept) == each * len(corpus.sounding):
                break
        return cls(tuple(scene for scene, _ in kept), tuple(name for _, name in kept), size, frontend)

    def __len__(self) -> int:
        return len(self.scenes)

    def __getitem__(self, i: int) -> AVSample:
        scene = render_sample(self.scenes[i], [EVAL_TIME], self.size, f"scene-{i}", frontend=self.frontend)
        return scene[0]

    def metadata(self, i: int) -> ClipMetadata:
        """What sounds; every scene is a source of its own."""
        return ClipMetadata(f"scene-{i}", f"scene-{i}", (self.categories[i],))


def _visible(scene: Scene) -> bool:
    """Whether enough is seen of what sounds, looked at in small."""
    from save_avs.synthesis.render import render_scene

    _, instances = render_scene(scene, EVAL_TIME, 64, 64)
    return bool(np.isin(instances, scene.sounding_at(EVAL_TIME)).mean() > VISIBLE)
