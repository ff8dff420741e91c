"""Audio adapters: from an audio vector to one vector per encoder block, and the decoder's prompt tokens."""

from typing import Literal

from torch import Tensor, nn
from torch.nn import functional as F

from save_avs.models.adapters.image_adapter import Init

Injection = Literal["all", "last", "none"]


class ResidualAudioAdapter(nn.Module):
    """The residual audio encoder adapter: one audio vector per frame to one vector per block, and a prompt.

    h_0 = W_in a;  h_i = h_{i-1} + GELU(W_i h_{i-1});  block i gets P h_i;  prompt = Q h_N

    P is initialized to zero: an untrained adapter changes nothing in the encoder.

    Args:
        audio_dim: width of the audio vector a.
        blocks: transformer blocks N of the image encoder.
        embed_dim: width C of its tokens.
        prompt_embed_dim: width of the decoder's tokens.
        hidden: width of h.
        tokens: number of prompt tokens.
        residual: whether h_{i-1} is added; without it the chain is a plain MLP.
        shared: one P for all blocks, or one each.
        inject_into: the blocks that get a vector.
        init: ``ancestor`` draws every weight but P as SAMA-AVS does, from N(0, 0.02^2), with zero biases;
            ``torch`` draws both as PyTorch does.

    Source: SAVE (arXiv 2407.02004), residual audio encoder adapter; widths, the shared P and the
    initialization from SAMA-AVS (arXiv 2305.11019); see docs/background/fidelity.md.
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
        init: Init = "ancestor",
    ) -> None:
        super().__init__()
        self.audio_dim = audio_dim
        self.residual = residual
        self.tokens = tokens
        self.first_injected_block: int = {"all": 0, "last": blocks - 1, "none": blocks}[inject_into]
        self.in_proj: nn.Linear = nn.Linear(audio_dim, hidden)
        self.layers: nn.ModuleList = nn.ModuleList(nn.Linear(hidden, hidden) for _ in range(blocks))
        injected = blocks - self.first_injected_block
        self.block_proj: nn.ModuleList = nn.ModuleList(
            zero_linear(hidden, embed_dim) for _ in range(min(injected, 1) if shared else injected)
        )
        self.prompt_proj: nn.Linear | None = nn.Linear(hidden, tokens * prompt_embed_dim) if tokens else None
        if init == "ancestor":
            _draw_narrow(self.in_proj, *self.layers, self.prompt_proj)

    def forward(self, audio: Tensor) -> tuple[list[Tensor | None], Tensor | None]:
        """Audio vectors [B,audio_dim] to one [B,C] or None per block, and the prompt [B,tokens,width]."""
        h = self.in_proj(audio)
        injections: list[Tensor | None] = []
        for i, layer in enumerate(self.layers):
            update = F.gelu(layer(h))
            h = h + update if self.residual else update
            injections.append(self._block_proj(i)(h) if i >= self.first_injected_block else None)
        prompt = None if self.prompt_proj is None else self.prompt_proj(h).unflatten(-1, (self.tokens, -1))
        return injections, prompt

    def _block_proj(self, block: int) -> nn.Module:
        return self.block_proj[0 if len(self.block_proj) == 1 else block - self.first_injected_block]


class SamaAudioAdapter(nn.Module):
    """SAMA-AVS's audio path: one audio vector per frame to one vector per block, each by itself; no prompt.

    block i gets P GELU(W_i a)

    P is initialized to zero, as in ``ResidualAudioAdapter``, so that the two differ in their path alone.

    Args:
        audio_dim: width of the audio vector a.
        blocks: transformer blocks of the image encoder.
        embed_dim: width C of its tokens.
        hidden: width between.
        init: as in ``ResidualAudioAdapter``.

    Source: SAMA-AVS (arXiv 2305.11019), whose decoder has SAM's embedding of "no prompt" alone.
    """

    def __init__(
        self, *, audio_dim: int, blocks: int, embed_dim: int, hidden: int = 512, init: Init = "ancestor"
    ) -> None:
        super().__init__()
        self.audio_dim = audio_dim
        self.layers: nn.ModuleList = nn.ModuleList(nn.Linear(audio_dim, hidden) for _ in range(blocks))
        self.block_proj: nn.Linear = zero_linear(hidden, embed_dim)
        if init == "ancestor":
            _draw_narrow(*self.layers)

    def forward(self, audio: Tensor) -> tuple[list[Tensor | None], None]:
        """Audio vectors [B,audio_dim] to one [B,C] per block."""
        return [self.block_proj(F.gelu(layer(audio))) for layer in self.layers], None


AudioAdapter = ResidualAudioAdapter | SamaAudioAdapter


def zero_linear(in_features: int, out_features: int) -> nn.Linear:
    """A linear layer whose weight and bias are initialized to zero."""
    layer = nn.Linear(in_features, out_features)
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


def _draw_narrow(*layers: nn.Module | None) -> None:
    """Draw weights from N(0, 0.02^2), and set biases to zero.

    SAMA-AVS truncates the normal distribution at -2 and 2, a hundred deviations away: no draw gets there.
    """
    for layer in layers:
        if isinstance(layer, nn.Linear):
            nn.init.normal_(layer.weight, std=0.02)
            nn.init.zeros_(layer.bias)
