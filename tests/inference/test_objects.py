"""Objects: connected parts against scipy's labeling, and ids of boxes and masks whose paths are known."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from scipy import ndimage

from save_avs._rle import encode_rle
from save_avs.inference.objects import (
    KEEP_SECONDS,
    MAX_OBJECTS,
    MIN_VISIBLE_AREA,
    ObjectTracker,
    find_objects,
)
from save_avs.types import MaskObject

SIZE = (60, 120)
FPS = 10


def whole(mask: np.ndarray, probability: np.ndarray | None = None) -> tuple[MaskObject, ...]:
    probability = mask.astype(np.float32) if probability is None else probability
    return find_objects(mask, probability, corner=(0, 0), size=mask.shape)


@pytest.mark.parametrize("share", [0.02, 0.1, 0.3, 0.95])
@pytest.mark.parametrize("shape", [(1, 40), (40, 1), (31, 47), (96, 64)])
def test_objects_are_the_largest_parts_that_scipy_labels(share, shape):
    rng = np.random.default_rng(0)
    mask, probability = rng.random(shape) < share, rng.random(shape).astype(np.float32)
    labels, count = ndimage.label(mask, np.ones((3, 3)))  # type: ignore[misc]
    expected = [labels == label for label in range(1, count + 1)]
    expected = [part for part in expected if part.sum() >= MIN_VISIBLE_AREA * mask.size]
    found = whole(mask, probability)
    assert len(found) == min(len(expected), MAX_OBJECTS)
    areas = [each.area for each in found]
    assert areas == sorted((int(part.sum()) for part in expected), reverse=True)[:MAX_OBJECTS]
    known = {part.tobytes(): part for part in expected}
    for each in found:
        part = known.pop(each.mask.tobytes())
        assert each.counts == encode_rle(part)
        rows, columns = np.nonzero(part)
        x, y, width, height = each.box
        assert (x, y, x + width - 1, y + height - 1) == (
            columns.min(),
            rows.min(),
            columns.max(),
            rows.max(),
        )
        assert each.score == pytest.approx(probability[part].mean(), rel=1e-5) and each.id is None


def test_specks_below_a_thousandth_of_the_frame_are_left_out():
    mask = np.zeros((100, 100), bool)
    mask[0, :9] = mask[50, :10] = True
    assert [each.area for each in whole(mask)] == [10]


def test_objects_of_a_part_of_the_frame_are_placed_in_it():
    (found,) = find_objects(np.ones((5, 7), bool), np.ones((5, 7), np.float32), corner=(20, 30), size=SIZE)
    assert found.box == (30, 20, 7, 5) and found.mask[20:25, 30:37].all() and found.area == 35
    for empty in (np.zeros((0, 0), bool), np.zeros((5, 7), bool)):
        assert find_objects(empty, empty.astype(np.float32), corner=(0, 0), size=SIZE) == ()


def box(left: float, top: float, width: float = 20, height: float = 20) -> MaskObject:
    mask = np.zeros(SIZE, bool)
    mask[round(top) : round(top + height), round(left) : round(left + width)] = True
    return MaskObject(SIZE, encode_rle(mask), 1.0)


def tracked(frames: list[list[MaskObject]], *, fps: float = FPS) -> list[list[int | None]]:
    track = ObjectTracker()
    return [[each.id for each in track(tuple(found), i / fps)] for i, found in enumerate(frames)]


def masks_tracked(masks: list[np.ndarray]) -> list[dict[str, int | None]]:
    """Return which id the objects of each frame have, by the side of the frame where their center is."""
    track, found = ObjectTracker(), []
    for i, mask in enumerate(masks):
        objects = track(whole(mask), i / FPS)
        sides = ("left" if each.box[0] + each.box[2] / 2 < SIZE[1] / 2 else "right" for each in objects)
        found.append(dict(zip(sides, (each.id for each in objects), strict=True)))
    return found


def test_ids_count_from_one_and_stay_while_boxes_move():
    ids = tracked([[box(2 * i, 0), box(100 - 2 * i, 40)] for i in range(20)])
    assert ids == [[1, 2]] * 20


def test_order_of_the_objects_does_not_matter():
    frames = [[box(2 * i, 0), box(2 * i, 40)][:: 1 if i % 2 else -1] for i in range(10)]
    assert [sorted(ids) for ids in tracked(frames)] == [[1, 2]] * 10
    assert all(before == after[::-1] for before, after in pairwise(tracked(frames)))


def test_crossing_boxes_keep_their_ids():
    ids = tracked([[box(4 * i, 10), box(100 - 4 * i, 16)] for i in range(26)])
    assert ids == [[1, 2]] * 26


def test_masks_that_merge_while_they_cross_have_their_ids_afterwards():
    masks = []
    for i in range(30):
        masks.append(np.zeros(SIZE, bool))
        for left in (4 * i, 116 - 4 * i):
            masks[-1][20:40, max(left - 10, 0) : left + 10] = True
    ids = masks_tracked(masks)
    assert ids[0] == {"left": ids[0]["left"], "right": 3 - (ids[0]["left"] or 0)}
    assert len(ids[14]) == 1
    assert ids[-1] == {"right": ids[0]["left"], "left": ids[0]["right"]}


@pytest.mark.parametrize(("gap", "kept"), [(0.3, True), (KEEP_SECONDS, True), (KEEP_SECONDS + 0.1, False)])
@pytest.mark.parametrize("fps", [10, 50])
def test_vanished_object_keeps_its_id_for_a_second_at_any_rate(gap, kept, fps):
    """Moving at 20 pixels per second all the time; seen again ``gap`` seconds after it was last seen."""
    shown = [i / fps for i in range(fps)]
    later = shown[-1] + gap
    times = [*shown, later, later + 1 / fps]
    track, ids = ObjectTracker(), []
    for i in range(round(times[-1] * fps) + 1):
        visible = any(abs(i / fps - time) < 1e-9 for time in times)
        ids += [each.id for each in track((box(20 * i / fps, 0),) if visible else (), i / fps)]
    assert ids == [1] * len(shown) + [1 if kept else 2] * 2


def test_processed_frames_further_apart_than_a_second_keep_ids():
    assert tracked([[box(10, 0)], [box(12, 0)], [], [box(12, 0)]], fps=0.5) == [[1], [1], [], [2]]


def test_larger_part_of_a_split_object_keeps_the_id():
    ids = tracked([[box(10, 10, 60, 30)], [box(10, 10, 40, 30), box(52, 10, 18, 30)]])
    assert ids == [[1], [1, 2]]


def test_object_elsewhere_is_new():
    assert tracked([[box(0, 0)], [box(90, 30)]]) == [[1], [2]]


def test_tracks_do_not_accumulate():
    rng = np.random.default_rng(0)
    track = ObjectTracker()
    for i in range(100):
        track(tuple(box(*rng.integers(0, 40, 2), 3, 3) for _ in range(5)), i / FPS)
    assert len(track._tracks) <= 5 * (FPS * KEEP_SECONDS + 1)
