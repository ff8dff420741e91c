"""Frames of composed scenes as a model is tested on them."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from save_avs.audio.front_end import FrontEnd
from save_avs.data.corpus import Corpus
from save_avs.data.paint import paint
from save_avs.data.scene import SceneOptions, draw_scene
from save_avs.data.streams import hear

TIME = 0.6  # the middle of a scene of one segment
OPTIONS = SceneOptions(sources=(0.0, 0.5, 0.5), augment=False, textures=0.0)


def scene_frames(count: int, size: int, front_end: FrontEnd, *, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Scenes composed of the bundled things: images u8 [N,3,size,size], patches f32 [N,1,frames,bands]."""
    corpus = Corpus.load("sample", "train")
    scenes = [draw_scene(np.random.default_rng((seed, i)), corpus, OPTIONS) for i in range(count)]
    pictures = np.stack([paint(scene, TIME, size, size)[0] for scene in scenes])
    patches = np.stack([hear(scene.voices, [TIME], front_end)[0] for scene in scenes])
    return torch.from_numpy(pictures).permute(0, 3, 1, 2).contiguous(), torch.from_numpy(patches)[:, None]
