from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from save_avs.synthesis.corpus import Corpus
from save_avs.synthesis.render import render_scene
from save_avs.synthesis.scene import SceneOptions, random_scene
from studies.audio_sensitivity.distractors import with_distractors
from tests.support.tiny_corpus import make_corpus

LONE = SceneOptions(num_objects=(1, 1), source_count_probs=(0.0, 1.0, 0.0), augment=False, texture_prob=0.0)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    return Corpus.load(make_corpus(Path(tmp_path_factory.mktemp("corpus"))), "test")


@pytest.mark.parametrize("seed", range(4))
def test_distractors_stand_behind_and_make_no_sound(corpus: Corpus, seed: int) -> None:
    rng = np.random.default_rng(seed)
    scene = random_scene(rng, corpus, LONE)
    crowd = with_distractors(rng, corpus, scene, 3, LONE)
    assert (
        len(crowd.objects) == 4
        and crowd.objects[-1] is scene.objects[0]
        and crowd.audio_sources is scene.audio_sources
    )
    groups = [thing.cutout.group for thing in crowd.objects]
    assert len(set(groups)) == 4 and crowd.sounding_at(0.6) == (3,)
    (plain, alone), (full, among) = (render_scene(s, 0.6, 64, 64) for s in (scene, crowd))
    assert (np.equal(alone, 0) == np.equal(among, 3)).all()  # distractors hide none of it
    assert (plain != full).any() and len(np.unique(among)) > 2
