"""The residual audio encoder adapter: a chain of MLPs that brings sound into every block, then prompts."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn
from torch.nn import functional as F

Injection = Literal["all", "last", "none"]


class ResidualAudioAdapter(nn.Module):
    """From one audio vector a frame to one vector a block, and the decoder's sparse prompt.

    h_0 = W_in a;  h_i = h_{i-1} + GELU(W_i h_{i-1});  block i gets P h_i;  prompt = Q h_N

    P starts at zero: a fresh adapter changes nothing in the encoder.

    Args:
        audio_dim: width of the audio vector a.
        blocks: transformer blocks N of the image encoder.
        embed_dim: width C of its tokens.
        prompt_embed_dim: width of the decoder's tokens.
        hidden: width of h.
        tokens: prompt tokens.
        residual: whether h_{i-1} is added; without it the chain is a plain MLP.
        shared: one P for all blocks, or one each.
        inject_into: which blocks get their vector.

    Source: SAVE (arXiv 2407.02004), residual audio encoder adapter; widths and the shared P from SAMA-AVS
    (arXiv 2305.11019); see docs/background/fidelity.md.
    """

    def __init__(
        self,
        *,
        audio_dim: int,
        blocks: int,
        embed_dim: int,
        prompt_embed_dim: int,
        hidden: int = 512,
        tokens: int = 1,
        residual: bool = True,
        shared: bool = True,
        inject_into: Injection = "all",
    ) -> None:
        super().__init__()
        self.audio_dim = audio_dim
        self.residual = residual
        self.tokens = tokens
        self.first = {"all": 0, "last": blocks - 1, "none": blocks}[inject_into]
        self.enter = nn.Linear(audio_dim, hidden)
        self.steps = nn.ModuleList(nn.Linear(hidden, hidden) for _ in range(blocks))
        projections = min(blocks - self.first, 1) if shared else blocks - self.first
        self.project = nn.ModuleList(zero_linear(hidden, embed_dim) for _ in range(projections))
        self.prompt = nn.Linear(hidden, tokens * prompt_embed_dim) if tokens else None

    def forward(self, audio: Tensor) -> tuple[list[Tensor | None], Tensor | None]:
        """Audio vectors [B,audio_dim] to one [B,C] or None a block, and the prompt [B,tokens,prompt_dim]."""
        h = self.enter(audio)
        injections: list[Tensor | None] = []
        for i, step in enumerate(self.steps):
            update = F.gelu(step(h))
            h = h + update if self.residual else update
            injections.append(self._projection(i)(h) if i >= self.first else None)
        prompt = None if self.prompt is None else self.prompt(h).unflatten(-1, (self.tokens, -1))
        return injections, prompt

    def _projection(self, block: int) -> nn.Module:
        return self.project[0 if len(self.project) == 1 else block - self.first]


def zero_linear(inputs: int, outputs: int) -> nn.Linear:
    """A linear layer whose output is zero until it has learned."""
    layer = nn.Linear(inputs, outputs)
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer
