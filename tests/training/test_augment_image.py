from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from save_avs.losses import UNLABELED
from save_avs.models.preprocess import PAD_COLOR
from save_avs.training.augment_image import (
    Window,
    adjust_color,
    augment_images,
    crop,
    flip,
    random_window,
    recolor,
)
from save_avs.training.clip_dataset import ClipStream, EpochShuffle
from save_avs.training.stage_config import AugmentConfig
from save_avs.types import AVSample
from tests.support.training_clips import Clips, make_clip

SIZE = (40, 60)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def numbered() -> AVSample:
    """Frames that all differ, whose every pixel tells where it is, and masks and labels that say the same."""
    place = np.arange(SIZE[0] * SIZE[1]).reshape(SIZE) % 251
    frames = np.stack([np.stack([place, (place * 7) % 251, place + k], axis=-1) for k in range(3)])
    labels = np.stack([place] * 3).astype(np.uint8)
    return replace(
        make_clip(0, size=SIZE), frames=frames.astype(np.uint8), masks=labels % 2 == 1, labels=labels
    )


def same(one: AVSample, other: AVSample) -> bool:
    return all(
        np.array_equal(getattr(one, part), getattr(other, part)) for part in ("frames", "masks", "labels")
    )


def test_default_config_changes_nothing():
    clip = numbered()
    assert augment_images(clip, AugmentConfig(), rng()) is clip


@pytest.mark.parametrize("seed", range(6))
def test_masks_and_labels_follow_the_frames_pixel_by_pixel(seed):
    options = AugmentConfig(flip=0.5, scale=(0.5, 2.0), crop=0.7)
    clip = augment_images(numbered(), options, rng(seed))
    assert not same(clip, numbered())
    inside = clip.labels != UNLABELED
    assert inside.any()
    assert np.array_equal(clip.frames[..., 0][inside], clip.labels[inside])
    assert np.array_equal(clip.masks[inside], clip.labels[inside] % 2 == 1)
    assert not clip.masks[~inside].any() and (clip.frames[~inside] == PAD_COLOR).all()
    for k in range(3):  # all frames show the same place
        assert np.array_equal(clip.labels[k], clip.labels[0])


def test_random_window_respects_scale_and_crop():
    for seed in range(50):
        near = random_window(rng(seed), SIZE, scale=(1.0, 2.0), crop=1.0)
        assert 20 <= near.height <= 40 and near.width == pytest.approx(near.height * 1.5, abs=1)
        assert 0 <= near.top <= 40 - near.height and 0 <= near.left <= 60 - near.width
        far = random_window(rng(seed), SIZE, scale=(0.5, 1.0), crop=1.0)
        assert 40 <= far.height <= 80 and 40 - far.height <= far.top <= 0 and 60 - far.width <= far.left <= 0
        part = random_window(rng(seed), SIZE, scale=(1.0, 1.0), crop=0.5)
        assert 20 <= part.height <= 40 and 30 <= part.width <= 60
    tops = {random_window(rng(seed), SIZE, scale=(2.0, 2.0), crop=1.0).top for seed in range(200)}
    assert tops == set(range(21))


def test_crop_and_flip_move_pixels():
    clip = numbered()
    part = crop(clip, Window(5, -2, 10, 20))
    assert np.array_equal(part.frames[:, :, 2:], clip.frames[:, 5:15, :18])
    assert (part.frames[:, :, :2] == PAD_COLOR).all() and (part.labels[:, :, :2] == UNLABELED).all()
    assert np.array_equal(flip(clip).masks, clip.masks[:, :, ::-1])
    assert same(flip(flip(clip)), clip)


def test_adjust_color_of_each_factor():
    frames = numbered().frames
    assert np.array_equal(adjust_color(frames, brightness=1, contrast=1, saturation=1), frames)
    half = adjust_color(frames, brightness=0.5, contrast=1, saturation=1)
    assert np.abs(half - frames / 2.0).max() <= 1
    gray = adjust_color(frames, brightness=1, contrast=1, saturation=0)
    assert (gray.max(axis=-1) - gray.min(axis=-1)).max() == 0
    assert np.abs(gray[..., 0] - frames @ (0.299, 0.587, 0.114)).max() <= 1
    flat = adjust_color(frames, brightness=1, contrast=0, saturation=0)
    assert flat.min() == flat.max() == round(float(frames.reshape(-1, 3).mean(0) @ (0.299, 0.587, 0.114)))
    bright = adjust_color(frames, brightness=1.9, contrast=1.5, saturation=2)
    assert bright.max() == 255 and bright.min() == 0


def test_item_depends_on_seed_and_index_alone():
    options = AugmentConfig(flip=0.5, scale=(0.7, 1.5), crop=0.8, color=0.4)
    clips = Clips([make_clip(k) for k in range(4)])

    def item(i: int, seed: int = 3):
        return ClipStream(clips, 64, "squash", order=EpochShuffle(4, seed), augment=options)[i]

    once = [item(i).clips.images for i in range(8)]
    assert all(torch.equal(item(i).clips.images, once[i]) for i in reversed(range(8)))
    assert not any(torch.equal(item(i, seed=4).clips.images, once[i]) for i in range(8))


def test_stream_without_an_order_is_not_augmented():
    clips = Clips([make_clip(0)])
    plain = ClipStream(clips, 64, "squash")[0]
    asked = ClipStream(clips, 64, "squash", augment=AugmentConfig(flip=1.0, color=0.9))[0]
    assert torch.equal(plain.clips.images, asked.clips.images)


def test_recolored_frames_keep_their_edges_and_lose_their_colors() -> None:
    torch.manual_seed(0)
    flat = torch.tensor([200.0, 60.0, 30.0]).view(1, 3, 1, 1).expand(200, 3, 4, 4).clone()
    flat[..., 2:] = 20.0  # a vertical edge
    found = recolor(flat, 0.75)
    changed = (found != flat).flatten(1).any(1)
    assert changed.float().mean() == pytest.approx(0.75, abs=0.1)
    assert (found[..., :1] == found[..., :2]).all() and (found[..., 2:3] == found[..., 2:]).all()
    left = found[changed][:, :, 0, 0]
    assert found.min() >= 0 and found.max() <= 255
    assert (left.std(0) > 25).all()  # any color may come of it
    assert torch.equal(recolor(flat.byte(), 0.0), flat)
