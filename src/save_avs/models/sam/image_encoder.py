"""SAM's image encoder: a ViT with windowed and global attention, and a convolutional neck."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from save_avs.models.sam.attention import Attention
from save_avs.models.sam.common import LayerNorm2d, MLPBlock


class PatchEmbed(nn.Module):
    """Image patches to tokens by one strided convolution."""

    def __init__(self, patch_size: int, in_chans: int, embed_dim: int) -> None:
        super().__init__()
        self.proj: nn.Conv2d = nn.Conv2d(in_chans, embed_dim, patch_size, stride=patch_size)

    def forward(self, x: Tensor) -> Tensor:
        """[B,3,S,S] -> [B,S/patch,S/patch,C]."""
        # contiguous: the residual stream keeps this layout; otherwise every block would copy it
        return self.proj(x).permute(0, 2, 3, 1).contiguous()


class Block(nn.Module):
    """One transformer block: x += attn(norm1(x)); x += mlp(norm2(x)) + adapter(norm2(x))."""

    adapter: nn.Module | None  # a module [B,H,W,C] -> [B,H,W,C] parallel to the MLP, or None

    def __init__(self, dim: int, *, num_heads: int, mlp_dim: int, input_size: int, window_size: int) -> None:
        super().__init__()
        self.norm1: nn.LayerNorm = nn.LayerNorm(dim, eps=1e-6)
        self.attn: Attention = Attention(
            dim, num_heads=num_heads, input_size=input_size, window_size=window_size
        )
        self.norm2: nn.LayerNorm = nn.LayerNorm(dim, eps=1e-6)
        self.mlp: MLPBlock = MLPBlock(dim, mlp_dim)
        self.adapter = None

    def forward(self, x: Tensor) -> Tensor:
        """[B,H,W,C] -> [B,H,W,C]."""
        x = x + self.attn(self.norm1(x))
        y = self.norm2(x)
        if self.adapter is None:
            return x + self.mlp(y)
        return x + self.mlp(y) + self.adapter(y)


class ImageEncoderViT(nn.Module):
    """SAM's ViT: normalized images to embeddings, [B,3,S,S] -> [B,out_chans,S/patch,S/patch].

    The arguments are `SamConfig`'s sizes; ``image_size`` is S in pixels, ``out_chans`` the prompts' width.

    Attributes:
        image_embedding_size: side of the grid of tokens, S/patch.
        activation_checkpointing: whether training keeps only each block's input and recomputes the rest in
            the backward pass: far less memory for one more forward pass, the same results.

    Raises:
        ValueError: when the sizes do not divide, or a global block's index is out of range.

    Source: Kirillov et al. 2023, section 3 and appendix A; parameter names as in the official checkpoints.
    """

    def __init__(
        self,
        *,
        image_size: int = 1024,
        patch_size: int = 16,
        embed_dim: int = 768,
        depth: int = 12,
        num_heads: int = 12,
        mlp_ratio: float = 4.0,
        window_size: int = 14,
        global_attn_indexes: Sequence[int] = (2, 5, 8, 11),
        out_chans: int = 256,
    ) -> None:
        super().__init__()
        if image_size % patch_size or embed_dim % num_heads:
            raise ValueError("image_size must be a multiple of patch_size, and embed_dim of num_heads")
        if any(not 0 <= i < depth for i in global_attn_indexes):
            raise ValueError(f"global_attn_indexes {tuple(global_attn_indexes)} must be in 0..{depth - 1}")
        self.image_size = image_size
        self.embed_dim = embed_dim
        self.out_chans = out_chans
        self.image_embedding_size: int = image_size // patch_size
        self.activation_checkpointing = False
        self.patch_embed: PatchEmbed = PatchEmbed(patch_size, 3, embed_dim)
        self.pos_embed: nn.Parameter = nn.Parameter(
            torch.zeros(1, self.image_embedding_size, self.image_embedding_size, embed_dim)
        )
        self.blocks: nn.ModuleList = nn.ModuleList(
            Block(
                embed_dim,
                num_heads=num_heads,
                mlp_dim=round(embed_dim * mlp_ratio),
                input_size=self.image_embedding_size,
                window_size=0 if i in global_attn_indexes else window_size,
            )
            for i in range(depth)
        )
        self.neck: nn.Sequential = nn.Sequential(
            nn.Conv2d(embed_dim, out_chans, 1, bias=False),
            LayerNorm2d(out_chans),
            nn.Conv2d(out_chans, out_chans, 3, padding=1, bias=False),
            LayerNorm2d(out_chans),
        )
        self._init_weights()

    def _init_weights(self) -> None:
        """Draw linear weights and positions from a normal of std 0.02, truncated at +-2; biases are zero."""
        nn.init.trunc_normal_(self.pos_embed, std=0.02)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
                nn.init.zeros_(module.bias)

    def forward(
        self, x: Tensor, injections: Sequence[Tensor | None] | None = None, tokens: Tensor | None = None
    ) -> Tensor:
        """Encode normalized images.

        Args:
            x: [B,3,S,S].
            injections: one [B,C] or None per block, added to every token before that block.
            tokens: [B,S/patch,S/patch,C], added to the patches.

        Returns:
            [B,out_chans,S/patch,S/patch].

        Raises:
            ValueError: when x is not S x S, or there are not as many injections as blocks.
        """
        if x.shape[-2:] != (self.image_size, self.image_size):
            side = self.image_size
            raise ValueError(f"images must be {side} x {side} pixels, not {tuple(x.shape[-2:])}")
        if injections is not None and len(injections) != len(self.blocks):
            raise ValueError(f"{len(injections)} injections for {len(self.blocks)} blocks")
        x = self.patch_embed(x) + self.pos_embed
        x = x if tokens is None else x + tokens
        for i, block in enumerate(self.blocks):
            injection = None if injections is None else injections[i]
            x = self._run(block, x if injection is None else x + injection[:, None, None, :])
        return self.neck(x.permute(0, 3, 1, 2))

    def _run(self, block: nn.Module, x: Tensor) -> Tensor:
        """Run a block, with activation checkpointing when it is set and a gradient is wanted."""
        if not (self.activation_checkpointing and torch.is_grad_enabled()):
            return block(x)
        # no block draws random numbers, so their state need not be kept
        return checkpoint(block, x, use_reentrant=False, preserve_rng_state=False)
