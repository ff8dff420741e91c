"""More things in a scene, that it gives no voice."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from save_avs.synthesis.corpus import Corpus
from save_avs.synthesis.scene import Scene, SceneOptions, place_object


def with_distractors(
    rng: np.random.Generator, corpus: Corpus, scene: Scene, count: int, options: SceneOptions
) -> Scene:
    """A scene with ``count`` more things behind the others, none of a class that it has or that is heard.

    Half of them, as far as the corpus has such, are of kinds that never sound.
    """
    taken = {v.name for v in scene.audio_sources} | {t.cutout.group for t in scene.objects}
    pools = [
        [name for name in rng.permutation(np.array(names)).tolist() if name not in taken]
        for names in (corpus.sounding, corpus.silent)
        if names
    ]
    groups = [name for turn in zip(*pools, strict=False) for name in turn]
    groups += [name for pool in pools for name in pool if name not in groups]
    objects = list(scene.objects)
    for group in groups[:count]:
        looks = corpus.cutouts[group]
        look = looks[rng.integers(len(looks))]
        objects.insert(0, place_object(rng, look, objects, len(scene.objects) + count, options))
    return replace(scene, objects=tuple(objects))
