"""Distractors: silent objects added to a scene."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from save_avs.synthesis.corpus import Corpus
from save_avs.synthesis.scene import Scene, SceneOptions, place_object


def with_distractors(
    rng: np.random.Generator, corpus: Corpus, scene: Scene, count: int, options: SceneOptions
) -> Scene:
    """Add ``count`` silent objects behind the others, none of a class that is in view or sounds.

    Half of them, if the corpus has enough, are of kinds that never sound.
    """
    taken = {source.name for source in scene.audio_sources} | {item.cutout.group for item in scene.objects}
    pools = [
        [name for name in rng.permutation(np.array(names)).tolist() if name not in taken]
        for names in (corpus.sounding, corpus.silent)
        if names
    ]
    groups = [name for pair in zip(*pools, strict=False) for name in pair]
    groups += [name for pool in pools for name in pool if name not in groups]
    objects = list(scene.objects)
    for group in groups[:count]:
        cutout = corpus.random_cutout(rng, group)
        objects.insert(0, place_object(rng, cutout, objects, len(scene.objects) + count, options))
    return replace(scene, objects=tuple(objects))
