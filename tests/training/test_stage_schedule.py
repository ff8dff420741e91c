from __future__ import annotations

import pytest

from save_avs.training.clip_dataset import EpochShuffle
from save_avs.training.stage_schedule import clip_schedule
from tests.support.training_clips import clip_stage


def test_epoch_shuffle_has_every_clip_once_per_epoch():
    order = EpochShuffle(7, seed=3)
    items = [[order[7 * epoch + k] for k in range(7)] for epoch in range(4)]
    assert [[epoch for epoch, _ in row] for row in items] == [[k] * 7 for k in range(4)]
    rows = [tuple(index for _, index in row) for row in items]
    assert all(sorted(row) == list(range(7)) for row in rows)
    assert len(set(rows)) == 4


def test_epoch_shuffle_depends_on_seed_and_index_alone():
    straight = [EpochShuffle(5, seed=1)[i] for i in range(23)]
    late = EpochShuffle(5, seed=1)
    assert [late[i] for i in range(11, 23)] == straight[11:]
    assert [late[i] for i in (3, 20, 3)] == [straight[i] for i in (3, 20, 3)]
    assert [EpochShuffle(5, seed=2)[i] for i in range(23)] != straight


def test_epoch_shuffle_without_clips_is_refused():
    with pytest.raises(ValueError, match="at least one clip"):
        EpochShuffle(0, seed=0)


@pytest.mark.parametrize(
    ("changes", "train", "steps", "every"),
    [
        ({"epochs": 80, "batch_size": 4}, 3452, 80 * 863, 863),  # S4, SAMA-AVS's settings
        ({"epochs": 10, "batch_size": 4}, 11, 28, 3),  # V3, one shot: 27.5 steps
        ({"epochs": 3, "batch_size": 8}, 5, 2, 1),  # a batch larger than the set
        ({"epochs": 6, "batch_size": 4, "validate_every_epochs": 2}, 8, 12, 4),
        ({"steps": 9, "batch_size": 4}, 8, 9, 2),
    ],
)
def test_clip_schedule_converts_epochs_to_steps(changes, train, steps, every):
    plain = {"steps": None} | changes
    plan = clip_schedule(clip_stage(**plain), train=train, val=10)
    assert (plan.steps, plan.validate_every, plan.items_per_step) == (steps, every, changes["batch_size"])
    assert plan.val_samples == 10


def test_clip_schedule_counts_frames_where_the_stage_draws_frames():
    """MS3 as in SAMA-AVS: 296 clips of 5 frames, 4 frames per step."""
    stage = clip_stage(steps=None, epochs=80, batch_size=None, batch_frames=4)
    plan = clip_schedule(stage, train=296 * 5, val=64)
    assert (plan.steps, plan.validate_every, plan.items_per_step) == (80 * 370, 370, 4)


@pytest.mark.parametrize("changes", [{"batch_frames": 4}, {"batch_size": None}])
def test_both_or_neither_of_clips_and_frames_is_refused(changes):
    with pytest.raises(ValueError, match=r"set either batch_size \(clips\) or batch_frames"):
        clip_stage(**changes)


def test_clip_schedule_limits_val_samples():
    assert clip_schedule(clip_stage(val_samples=4), train=8, val=10).val_samples == 4
    assert clip_schedule(clip_stage(val_samples=40), train=8, val=10).val_samples == 10


@pytest.mark.parametrize("changes", [{"epochs": 3}, {"steps": None}])
def test_both_or_neither_of_epochs_and_steps_is_refused(changes):
    with pytest.raises(ValueError, match="set either epochs or steps"):
        clip_stage(**changes)
