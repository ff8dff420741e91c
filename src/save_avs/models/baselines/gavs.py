"""GAVS's audio prompt: a frozen SAM whose decoder is prompted by sound, and adapted by small adapters."""

from __future__ import annotations

from collections import OrderedDict
from copy import deepcopy

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from save_avs.models.baselines.baseline import Baseline, Features
from save_avs.models.baselines.prototypes import cell_shares, masked_average
from save_avs.models.save import SAVE


class SemanticPrompt(nn.Module):
    """The semantic-aware audio prompt: sound with a cue of the picture, and noise while learning.

    prompt = W_2 relu(W_1 [a + r std(a) n ; W_v mean(image)]),  n ~ N(0, 1) while learning, else 0

    Args:
        sound: width D of the audio vector a.
        look: channels C of the image embedding.
        prompt: width of the decoder's tokens.
        hidden: inner width.
    """

    def __init__(self, *, sound: int, look: int, prompt: int, hidden: int = 512) -> None:
        super().__init__()
        self.cue = nn.Linear(look, sound)
        self.noise = nn.Parameter(torch.ones(()))
        self.project = nn.Sequential(nn.Linear(2 * sound, hidden), nn.ReLU(), nn.Linear(hidden, prompt))

    def forward(self, features: Features) -> Tensor:
        """One token a frame, [B,1,prompt]."""
        sound = features.sound
        if self.training:
            sound = sound + self.noise * sound.std() * torch.randn_like(sound)
        cue = self.cue(features.image.mean((2, 3)))
        return self.project(torch.cat([sound, cue], dim=1)).unsqueeze(1)


class CorrelationAdapter(nn.Module):
    """x + W_2 gelu(W_1 x), W_2 zero at the start: a fresh adapter changes nothing."""

    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.down, self.up = nn.Linear(dim, hidden), nn.Linear(hidden, dim)
        nn.init.zeros_(self.up.weight)
        nn.init.zeros_(self.up.bias)

    def forward(self, x: Tensor) -> Tensor:
        """[...,dim] -> [...,dim]."""
        return x + self.up(F.gelu(self.down(x)))


class Gavs(Baseline):
    """SAM's frozen decoder under a semantic-aware audio prompt, correlation adapters behind its blocks' MLPs.

    Args:
        save: whose encoders it uses, and a copy of whose decoder it prompts.
        hidden: inner width of the prompt.
        bottleneck: inner width of the adapters in shares of the decoder's.

    Source: GAVS, Wang et al. 2024, arXiv 2309.07929. From its public code: widths, noise of the sound's own
    spread, the frozen decoder. From the paper's overview alone, and so in our form: the picture's cue, the
    learned amount of noise, the alignment of sound and picture. Its further adapters in the encoder's last
    blocks are left out, as its code allows: so features need no second look.
    """

    trained = ("prompt", "align", "adapter")

    def __init__(self, save: SAVE, *, hidden: int = 512, bottleneck: float = 0.5) -> None:
        super().__init__("gavs", save)
        dim, sound = save.sam.image_encoder.out_chans, save.audio_adapter.audio_dim
        self.prompt = SemanticPrompt(sound=sound, look=dim, prompt=dim, hidden=hidden)
        self.align = nn.Linear(sound, dim)
        self.decoder = deepcopy(save.sam.mask_decoder)
        for block in self.decoder.transformer.layers:
            adapter = CorrelationAdapter(dim, round(bottleneck * dim))
            adapted = OrderedDict(mlp=block.get_submodule("mlp"), adapter=adapter)
            block.register_module("mlp", nn.Sequential(adapted))

    def segment(self, features: Features) -> Tensor:
        """Logits [B,1,4h,4w] of frames that were looked at."""
        prompts = self.save.sam.prompt_encoder
        dense = prompts.no_mask(len(features.image)).detach()
        prompt = self.prompt(features)
        return self.decoder(features.image, prompts.get_dense_pe(), prompt, dense, False)[0]

    def misalignment(self, features: Features, masks: Tensor) -> Tensor:
        """How far sounds are from what sounds, 1 - cosine, mean over the frames; masks f32 [B,1,M,M]."""
        shown = masked_average(features.image, cell_shares(masks, features.image))
        return 1 - F.cosine_similarity(self.align(features.sound), shown, dim=1).mean()
