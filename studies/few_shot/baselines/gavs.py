"""GAVS's audio prompt: a frozen SAM decoder with an audio prompt and small adapters."""

from __future__ import annotations

from collections import OrderedDict
from copy import deepcopy

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from save_avs.models.save import SAVE
from studies.few_shot.baselines.base import Baseline, Features
from studies.few_shot.baselines.prototypes import cell_shares, masked_average


class SemanticPrompt(nn.Module):
    """The semantic-aware audio prompt: audio with a cue of the image, and noise during training.

    prompt = W_2 relu(W_1 [a + r std(a) n ; W_v mean(image)]),  n ~ N(0, 1) in training, else 0

    Args:
        audio_dim: width D of the audio vector a.
        image_dim: channels C of the image embedding.
        prompt_dim: width of the decoder's tokens.
        hidden: inner width.
    """

    def __init__(self, *, audio_dim: int, image_dim: int, prompt_dim: int, hidden: int = 512) -> None:
        super().__init__()
        self.image_proj = nn.Linear(image_dim, audio_dim)
        self.noise_scale = nn.Parameter(torch.ones(()))
        self.mlp = nn.Sequential(nn.Linear(2 * audio_dim, hidden), nn.ReLU(), nn.Linear(hidden, prompt_dim))

    def forward(self, features: Features) -> Tensor:
        """One token per frame, [B,1,prompt_dim]."""
        audio = features.audio
        if self.training:
            audio = audio + self.noise_scale * audio.std() * torch.randn_like(audio)
        cue = self.image_proj(features.image.mean((2, 3)))
        return self.mlp(torch.cat([audio, cue], dim=1)).unsqueeze(1)


class CorrelationAdapter(nn.Module):
    """x + W_2 gelu(W_1 x), W_2 initialized to zero: an untrained adapter changes nothing."""

    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.down, self.up = nn.Linear(dim, hidden), nn.Linear(hidden, dim)
        nn.init.zeros_(self.up.weight)
        nn.init.zeros_(self.up.bias)

    def forward(self, x: Tensor) -> Tensor:
        """[...,dim] -> [...,dim]."""
        return x + self.up(F.gelu(self.down(x)))


class Gavs(Baseline):
    """SAM's frozen decoder with a semantic-aware audio prompt, and correlation adapters after its MLPs.

    Args:
        save: provides the encoders, and the decoder that is copied.
        hidden: inner width of the prompt.
        bottleneck: inner width of the adapters as a share of the decoder's.

    Source: GAVS, Wang et al. 2024, arXiv 2309.07929. From its public code: widths, noise scaled by the
    audio's standard deviation, the frozen decoder. From the paper's overview alone, and so in our form: the
    image cue, the learned noise scale, the alignment of audio and image. Its further adapters in the
    encoder's last blocks are left out, as its code allows: so features need to be computed only once.
    """

    trainable = ("prompt", "align", "adapter")

    def __init__(self, save: SAVE, *, hidden: int = 512, bottleneck: float = 0.5) -> None:
        super().__init__("gavs", save)
        dim, audio_dim = save.sam.image_encoder.out_chans, save.audio_adapter.audio_dim
        self.prompt = SemanticPrompt(audio_dim=audio_dim, image_dim=dim, prompt_dim=dim, hidden=hidden)
        self.align = nn.Linear(audio_dim, dim)
        self.decoder = deepcopy(save.sam.mask_decoder)
        for block in self.decoder.transformer.layers:
            adapter = CorrelationAdapter(dim, round(bottleneck * dim))
            adapted = OrderedDict(mlp=block.get_submodule("mlp"), adapter=adapter)
            block.register_module("mlp", nn.Sequential(adapted))

    def segment(self, features: Features) -> Tensor:
        """Mask logits [B,1,4h,4w] from features."""
        prompt_encoder = self.save.sam.prompt_encoder
        dense = prompt_encoder.no_mask_dense(len(features.image)).detach()
        prompt = self.prompt(features)
        return self.decoder(features.image, prompt_encoder.get_dense_pe(), prompt, dense, False)[0]

    def misalignment(self, features: Features, masks: Tensor) -> Tensor:
        """1 - cosine of audio and the image under the mask, mean over the frames; masks f32 [B,1,M,M]."""
        masked = masked_average(features.image, cell_shares(masks, features.image))
        return 1 - F.cosine_similarity(self.align(features.audio), masked, dim=1).mean()
