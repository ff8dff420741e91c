"""Frames of composed scenes as a model is tested on them."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from save_avs.audio.frontend import Frontend
from save_avs.synthesis.corpus import Corpus
from save_avs.synthesis.render import render_scene
from save_avs.synthesis.scene import SceneOptions, random_scene
from save_avs.synthesis.streams import scene_log_mel

TIME = 0.6  # the middle of a scene of one segment
OPTIONS = SceneOptions(source_count_probs=(0.0, 0.5, 0.5), augment=False, texture_prob=0.0)


def calibration_frames(count: int, size: int, frontend: Frontend, *, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Scenes composed of the bundled things: images u8 [N,3,size,size], patches f32 [N,1,frames,bands]."""
    corpus = Corpus.load("sample", "train")
    scenes = [random_scene(np.random.default_rng((seed, i)), corpus, OPTIONS) for i in range(count)]
    pictures = np.stack([render_scene(scene, TIME, size, size)[0] for scene in scenes])
    log_mel = np.stack([scene_log_mel(scene.audio_sources, [TIME], frontend)[0] for scene in scenes])
    return torch.from_numpy(pictures).permute(0, 3, 1, 2).contiguous(), torch.from_numpy(log_mel)[:, None]
