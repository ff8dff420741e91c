from __future__ import annotations

import numpy as np
import pytest
import torch

from save_avs.errors import DataError
from save_avs.losses import UNLABELED
from save_avs.training.clip_dataset import (
    ClipStream,
    EpochShuffle,
    cell_labels,
    collate_clips,
    mask_fractions,
)
from save_avs.training.stage_config import AugmentConfig
from tests.support.training_clips import Clips, make_clip


def stream(*clips, **options) -> ClipStream:
    return ClipStream(Clips(list(clips)), 64, options.pop("resize", "squash"), **options)


def test_items_have_annotated_frames_only():
    valid = np.array([True, True, True, False])
    (item, padded) = (
        stream(make_clip(0, frames=5, annotated=1), make_clip(1, frames=4, valid=valid))[i] for i in (0, 1)
    )
    assert (
        len(item.clips.images)
        == len(item.clips.masks)
        == len(item.clips.log_mel)
        == len(item.full_masks)
        == 1
    )
    assert len(padded.clips.images) == 3
    batch = collate_clips([item, padded])
    assert batch.clips.images.shape == (4, 3, 64, 64) and batch.clips.images.dtype == torch.uint8
    assert batch.clips.log_mel.shape == (4, 1, 96, 64) and batch.clips.masks.shape == (4, 1, 16, 16)
    assert batch.clips.has_mask.all() and batch.clips.names == ("clip-0", "clip-1", "clip-1", "clip-1")
    assert [tuple(truth.shape) for truth in batch.full_masks] == [(48, 48)] * 4


def test_kept_frames_keep_their_log_mel():
    clip = make_clip(0)
    clip.log_mel[:] = np.arange(3)[:, None, None]
    known = np.array([True, False, True])
    item = stream(make_clip(0, log_mel=clip.log_mel, has_mask=known))[0]
    assert item.clips.log_mel[:, 0, 0, 0].tolist() == [0.0, 2.0]


def test_clip_without_a_mask_is_a_data_error():
    with pytest.raises(DataError, match="clip-0: none of its frames has a mask"):
        stream(make_clip(0, annotated=0))[0]


def test_masks_align_with_resized_images():
    for resize in ("squash", "pad"):
        item = stream(make_clip(1, size=(32, 64)), resize=resize)[0]
        red = torch.nn.functional.avg_pool2d(item.clips.images[:, :1].float(), 4)
        rows = slice(0, 16 if resize == "squash" else 8)  # beside a padded frame there is SAM's mean color
        assert torch.equal((red > 130)[:, :, rows], (item.clips.masks > 0.5)[:, :, rows])
        assert item.clips.masks.sum() == item.clips.masks[:, :, rows].sum() > 0


def test_mask_fractions_at_any_size():
    mask = np.zeros((1, 30, 30), bool)
    mask[0, :15, :10] = True
    assert mask_fractions(mask, 16, "squash").mean() == pytest.approx(mask.mean(), abs=0.01)
    assert mask_fractions(mask, 60, "squash").sum() == 4 * mask.sum()  # a network larger than the truth
    wide = np.ones((1, 20, 40), bool)
    padded = mask_fractions(wide, 16, "pad")
    assert padded[0, 0, :8].min() == 1 and padded[0, 0, 8:].max() == 0


def test_cell_labels_in_the_padding_are_unlabeled():
    labels = np.full((2, 20, 40), 7, np.uint8)
    cells = cell_labels(labels, 16, "pad")
    assert cells.dtype == torch.int64
    assert (cells[:, :8] == 7).all() and (cells[:, 8:] == UNLABELED).all()


def test_flip_is_reproducible_and_covers_masks():
    clips = [make_clip(k) for k in range(8)]
    order = EpochShuffle(8, seed=5)
    plain, mirrored = (
        stream(*clips, order=order),
        stream(*clips, order=order, augment=AugmentConfig(flip=0.5)),
    )
    flipped = []
    for i in range(24):
        one, other = plain[i], mirrored[i]
        if not torch.equal(one.clips.images, other.clips.images):
            flipped.append(i)
            assert torch.equal(one.clips.images.flip(-1), other.clips.images)
            assert torch.equal(one.clips.masks.flip(-1), other.clips.masks)
            assert torch.equal(one.full_masks[0].flip(-1), other.full_masks[0])
    assert 4 < len(flipped) < 20
    again = stream(*clips, order=EpochShuffle(8, seed=5), augment=AugmentConfig(flip=0.5))
    assert [i for i in range(24) if not torch.equal(plain[i].clips.images, again[i].clips.images)] == flipped


def test_redraw_opens_the_clips_of_each_epoch():
    opened = []

    def redraw(epoch: int):
        opened.append(epoch)
        return stream(*(make_clip(10 * epoch + k) for k in range(3))).clips

    names = [
        stream(*map(make_clip, range(3)), order=EpochShuffle(3, seed=1), redraw=redraw)[i].clips.names[0]
        for i in (0, 4)
    ]
    assert names[0] in {make_clip(k).name for k in range(3)}
    assert names[1] in {make_clip(10 + k).name for k in range(3)}
    assert opened == [0, 1]


def numbered(index: int, frames: int, known: list[int]):
    """A clip whose frame k has log-mel 100 * index + k; the frames in ``known`` are annotated."""
    marks = 100 * index + np.arange(frames)
    log_mel = np.broadcast_to(marks[:, None, None], (frames, 96, 64)).astype(np.float32)
    return make_clip(index, frames=frames, log_mel=log_mel, has_mask=np.isin(np.arange(frames), known))


def test_frame_items_are_every_annotated_frame_once_per_epoch():
    clips = [numbered(0, 3, [0, 1, 2]), numbered(1, 5, [0]), numbered(2, 2, []), numbered(3, 4, [1, 3])]
    frames = stream(*clips, order=EpochShuffle(6, seed=2), frame_counts=[3, 1, 0, 2])
    epochs = [[frames[6 * epoch + k] for k in range(6)] for epoch in range(3)]
    read = [[float(item.clips.log_mel[0, 0, 0, 0]) for item in items] for items in epochs]
    assert all(sorted(marks) == [0, 1, 2, 100, 301, 303] for marks in read)
    assert len({tuple(marks) for marks in read}) == 3
    assert all(len(item.clips.images) == len(item.full_masks) == 1 for items in epochs for item in items)
    assert {item.clips.names for items in epochs for item in items} == {("clip-0",), ("clip-1",), ("clip-3",)}


def test_masks_at_the_input_are_nearest_pixels():
    """Pixel i of S shows pixel floor((i + 0.5) * 48 / S) of the truth, as Pillow's nearest neighbor."""
    clip = make_clip(1)
    item = stream(clip, loss_size="input")[0]
    near = ((np.arange(64) + 0.5) * 48 / 64).astype(int)
    expected = clip.masks[:, None, near][..., near].astype(np.float32)
    assert item.clips.masks.shape == (3, 1, 64, 64) and np.array_equal(item.clips.masks.numpy(), expected)
    wide = stream(make_clip(1, size=(24, 48)), loss_size="input", resize="pad")[0].clips.masks
    assert wide[:, :, :32].any() and not wide[:, :, 32:].any()


def test_center_crop_keeps_the_middle_square():
    item = stream(make_clip(1, size=(32, 64)), center_crop=True)[0]
    whole = make_clip(1, size=(32, 64))
    assert item.full_masks[0].shape == (32, 32)
    assert torch.equal(item.full_masks[0], torch.from_numpy(whole.masks[0, :, 16:48]))


def test_collate_keeps_features_and_labels_only_if_all_clips_have_them():
    features = np.ones((3, 128), np.float32)
    both = collate_clips([stream(make_clip(k, features=k * features))[0] for k in range(2)])
    assert both.clips.features[:, 0].tolist() == [0, 0, 0, 1, 1, 1]
    assert both.clips.labels.shape == (6, 16, 16) and set(both.clips.labels.unique().tolist()) == {0, 1, 2}
    mixed = collate_clips([stream(make_clip(0, features=features))[0], stream(make_clip(1, labels=None))[0]])
    assert mixed.clips.features is None and mixed.clips.labels is None
