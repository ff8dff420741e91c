from __future__ import annotations

import numpy as np
import torch

from save_avs.synthesis.sample_streams import AudioTaggingSample, PromptSample, SceneSample
from save_avs.training.collate import collate_audio, collate_prompts, collate_samples, collate_scenes
from save_avs.types import AVSample


def sample(name: str, frames: int, value: int, padded: int = 0) -> AVSample:
    total = frames + padded
    masks = np.zeros((total, 32, 32), bool)
    masks[:, :8, :16] = True
    return AVSample(
        name=name,
        frames=np.stack([np.full((32, 32, 3), value + t, np.uint8) for t in range(total)]),
        log_mel=np.stack([np.full((96, 64), value + t, np.float32) for t in range(total)]),
        masks=masks,
        has_mask=np.arange(total) == 0,
        valid=np.arange(total) < frames,
    )


def test_collate_samples_concatenates_valid_frames():
    batch = collate_samples([sample("a", 2, 10), sample("b", 1, 20, padded=3)])
    assert batch.images.shape == (3, 3, 32, 32) and batch.images.dtype == torch.uint8
    assert batch.log_mel.shape == (3, 1, 96, 64)
    assert batch.images[:, 0, 0, 0].tolist() == [10, 11, 20]
    assert batch.log_mel[:, 0, 0, 0].tolist() == [10.0, 11.0, 20.0]
    assert batch.has_mask.tolist() == [True, False, True]
    assert batch.names == ("a", "a", "b")


def test_collate_samples_downsamples_masks():
    mask = np.zeros((1, 32, 32), bool)
    mask[0, :2, :4] = True  # half of the first 4 x 4 cell
    one = sample("a", 1, 0)
    batch = collate_samples([AVSample("a", one.frames, one.log_mel, mask, one.has_mask, one.valid)])
    assert batch.masks.shape == (1, 1, 8, 8)
    assert batch.masks[0, 0, 0, 0] == 0.5 and batch.masks.sum() == 0.5


def test_collate_scenes_gives_each_frame_its_cell_groups():
    instances = np.full((2, 32, 32), -1, np.int8)
    instances[1, 16:, 16:] = 0
    sounds = np.eye(2, 3, dtype=np.float32)
    batch = collate_scenes([SceneSample(sample("a", 2, 10), instances, (4,), sounds)] * 2)
    assert batch.sounds.tolist() == [[1, 0, 0], [0, 1, 0]] * 2
    batch = collate_scenes([SceneSample(sample("a", 2, 10), instances, (4,), sounds)])
    assert batch.clips.names == ("a", "a")
    assert batch.groups.tolist() == [[[0, 0], [0, 0]], [[0, 0], [0, 5]]]


def test_cell_group_is_the_most_frequent():
    instances = np.full((32, 32), -1, np.int8)
    instances[:16, :16] = 1
    instances[16:, 16:25] = 0  # nine columns of sixteen
    instances[:16, 16:24] = 0  # half: a draw goes to the background
    thing = PromptSample(
        np.zeros((32, 32, 3), np.uint8),
        instances,
        (7, 3),
        instances == 0,
        np.zeros(2, np.float32),
        np.zeros(4, np.float32),
        by_box=True,
    )
    batch = collate_prompts([thing])
    assert batch.groups.tolist() == [[[4, 0], [0, 8]]]
    assert batch.masks.shape == (1, 1, 8, 8) and batch.point.shape == (1, 2) and batch.box.shape == (1, 4)


def test_collate_audio_stacks_sounds():
    sounds = [AudioTaggingSample(np.ones((96, 64), np.float32), np.array([0, 1], np.float32))] * 3
    batch = collate_audio(sounds)
    assert batch.log_mel.shape == (3, 1, 96, 64) and batch.targets.tolist() == [[0, 1]] * 3
