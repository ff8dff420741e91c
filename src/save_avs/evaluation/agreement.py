"""Whether two ways to compute a model mark the same pixels."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from save_avs.audio.front_end import FrontEnd
from save_avs.data.corpus import Corpus
from save_avs.data.paint import paint
from save_avs.data.scene import draw_scene
from save_avs.data.streams import hear
from save_avs.evaluation.scenes import OPTIONS, TIME

SAME = 0.99  # mean IoU with float32's masks from which on two computations count as the same


def scene_frames(count: int, size: int, front_end: FrontEnd, *, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Scenes composed of the bundled things: images u8 [N,3,size,size], patches f32 [N,1,frames,bands]."""
    corpus = Corpus.load("sample", "train")
    scenes = [draw_scene(np.random.default_rng((seed, i)), corpus, OPTIONS) for i in range(count)]
    pictures = np.stack([paint(scene, TIME, size, size)[0] for scene in scenes])
    patches = np.stack([hear(scene.voices, [TIME], front_end)[0] for scene in scenes])
    return torch.from_numpy(pictures).permute(0, 3, 1, 2).contiguous(), torch.from_numpy(patches)[:, None]


def mask_agreement(logits: Tensor, others: Tensor) -> float:
    """Mean IoU over frames of the masks of two logits [N,1,M,M]; two empty masks agree."""
    one, other = logits.flatten(1) > 0, others.flatten(1) > 0
    union = (one | other).sum(1)
    return float(torch.where(union > 0, (one & other).sum(1) / union.clamp(min=1), 1.0).mean())
