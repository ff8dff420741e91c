"""Light on the objects of a scene: tint and shadows, against their formulas."""

from dataclasses import replace

import numpy as np
import pytest

from save_avs.synthesis.corpus import Corpus
from save_avs.synthesis.lighting import Lighting, random_lighting
from save_avs.synthesis.render import render_scene
from save_avs.synthesis.scene import SceneOptions, random_scene

HARD = Lighting(match=1.0, darkness=0.5, length=0.5, lean=0.0, softness=0.0)


def _object(color: tuple[int, int, int], height: int = 20, width: int = 10):
    patch = np.zeros((height, width, 4), np.uint8)
    patch[...] = (*color, 255)
    return patch


def test_full_match_gives_an_object_the_mean_color_of_the_background() -> None:
    patch = _object((100, 120, 80))
    patch[:5, :, 3] = 0  # transparent pixels do not count
    patch[:5, :, :3] = 255
    tinted = HARD.tint(patch, np.array([150, 90, 80], np.float32))
    assert np.array_equal(tinted[..., 3], patch[..., 3])
    assert np.abs(tinted[10, 5, :3].astype(int) - (150, 90, 80)).max() <= 1
    unchanged = replace(HARD, match=0.0).tint(patch, np.array([150, 90, 80], np.float32))
    assert np.array_equal(unchanged, patch)


def test_tint_is_at_most_twofold() -> None:
    tinted = HARD.tint(_object((40, 200, 100)), np.array([255, 10, 100], np.float32))
    assert tuple(tinted[0, 0, :3]) == (80, 100, 100)


@pytest.mark.parametrize("lean", [0.0, 1.0, -1.0])
def test_shadow_is_the_outline_flattened_to_its_foot_and_leaning(lean: float) -> None:
    canvas = np.full((60, 50, 3), 200, np.uint8)
    replace(HARD, lean=lean).cast_shadow(canvas, _object((0, 0, 0)), left=20, top=30)
    dark = canvas[..., 0] < 150
    rows = np.flatnonzero(dark.any(1))
    assert (rows.min(), rows.max()) == (40, 49)  # half of the 20 rows above the foot, row 50
    assert canvas.min() == 100  # half of the light
    for row in (40, 44, 48):  # one column to the side per row, above the middle of the foot
        middle = 24.5 + lean * (50 - (row + 0.5))
        assert np.flatnonzero(dark[row]).mean() == pytest.approx(middle, abs=1)


def test_shadow_is_cut_off_at_the_edges() -> None:
    canvas = np.full((30, 30, 3), 200, np.uint8)
    HARD.cast_shadow(canvas, _object((0, 0, 0)), left=-5, top=15)
    assert canvas[29, 2, 0] < 200 and canvas[29, 12, 0] == 200
    HARD.cast_shadow(canvas, _object((0, 0, 0)), left=100, top=100)


def test_lighting_changes_no_mask_and_draws_nothing_where_it_is_impossible() -> None:
    corpus = Corpus.load("sample", "train")
    plain, lit = (
        random_scene(np.random.default_rng(3), corpus, SceneOptions(lighting_prob=p)) for p in (0.0, 1.0)
    )
    assert plain.lighting is None and lit.lighting is not None and lit.objects == plain.objects
    (frame, instances), (lit_frame, same) = (render_scene(scene, 0.0, 96, 96) for scene in (plain, lit))
    assert np.array_equal(instances, same) and not np.array_equal(frame, lit_frame)
    assert random_lighting(np.random.default_rng(0)) == random_lighting(np.random.default_rng(0))
