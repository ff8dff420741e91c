"""SAMA-AVS's audio path, as a rival: each block hears by itself, and the decoder does not hear at all."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from save_avs.models.adapters.residual_audio import zero_linear


class SamaAudioAdapter(nn.Module):
    """From one audio vector a frame to one vector a block; no prompt.

    block i gets P GELU(W_i a)

    There is no chain: no block's vector depends on another's. P starts at zero, as in
    ``ResidualAudioAdapter``, so that the two differ in their path alone.

    Args:
        audio_dim: width of the audio vector a.
        blocks: transformer blocks of the image encoder.
        embed_dim: width C of its tokens.
        hidden: width between.

    Source: SAMA-AVS (arXiv 2305.11019), whose decoder has SAM's embedding of "no prompt" alone.
    """

    def __init__(self, *, audio_dim: int, blocks: int, embed_dim: int, hidden: int = 512) -> None:
        super().__init__()
        self.audio_dim = audio_dim
        self.enter = nn.ModuleList(nn.Linear(audio_dim, hidden) for _ in range(blocks))
        self.project = zero_linear(hidden, embed_dim)

    def forward(self, audio: Tensor) -> tuple[list[Tensor | None], None]:
        """Audio vectors [B,audio_dim] to one [B,C] a block."""
        return [self.project(F.gelu(enter(audio))) for enter in self.enter], None
