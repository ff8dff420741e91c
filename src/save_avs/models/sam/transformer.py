"""The two-way transformer of SAM's mask decoder: tokens attend to the image, the image to the tokens."""

from torch import Tensor, nn

from save_avs.models.sam.common import MLPBlock
from save_avs.models.sam.cpu_kernels import Linear


class DownscalingAttention(nn.Module):
    """SAM's decoder attention: multi-head, with inner width ``embed_dim / downsample_rate``."""

    def __init__(self, embed_dim: int, *, num_heads: int, downsample_rate: int = 1) -> None:
        super().__init__()
        internal_dim = embed_dim // downsample_rate
        self.num_heads = num_heads
        self.q_proj: Linear = Linear(embed_dim, internal_dim)
        self.k_proj: Linear = Linear(embed_dim, internal_dim)
        self.v_proj: Linear = Linear(embed_dim, internal_dim)
        self.out_proj: Linear = Linear(internal_dim, embed_dim)

    def forward(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Queries [B,Q,C], keys and values [B,K,C] -> [B,Q,C]."""
        q, k, v = (
            proj(t).unflatten(-1, (self.num_heads, -1)).transpose(1, 2)
            for proj, t in ((self.q_proj, q), (self.k_proj, k), (self.v_proj, v))
        )
        # A handful of tokens on one side: plain products beat fused attention, forward and backward.
        out = (q @ k.transpose(-1, -2) * q.shape[-1] ** -0.5).softmax(dim=-1).to(v.dtype) @ v
        return self.out_proj(out.transpose(1, 2).flatten(-2))


class TwoWayAttentionBlock(nn.Module):
    """Self-attention of the tokens, tokens to image, MLP on the tokens, image to tokens."""

    def __init__(
        self,
        embed_dim: int,
        *,
        num_heads: int,
        mlp_dim: int,
        attention_downsample_rate: int,
        skip_first_layer_pe: bool,
    ) -> None:
        super().__init__()
        cross = {"num_heads": num_heads, "downsample_rate": attention_downsample_rate}
        self.skip_first_layer_pe = skip_first_layer_pe
        self.self_attn: DownscalingAttention = DownscalingAttention(embed_dim, num_heads=num_heads)
        self.norm1: nn.LayerNorm = nn.LayerNorm(embed_dim)
        self.cross_attn_token_to_image: DownscalingAttention = DownscalingAttention(embed_dim, **cross)
        self.norm2: nn.LayerNorm = nn.LayerNorm(embed_dim)
        self.mlp: MLPBlock = MLPBlock(embed_dim, mlp_dim, nn.ReLU)
        self.norm3: nn.LayerNorm = nn.LayerNorm(embed_dim)
        self.norm4: nn.LayerNorm = nn.LayerNorm(embed_dim)
        self.cross_attn_image_to_token: DownscalingAttention = DownscalingAttention(embed_dim, **cross)

    def forward(
        self, tokens: Tensor, image: Tensor, token_pe: Tensor, image_pe: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Tokens [B,N,C] and image [B,HW,C] -> the same two."""
        if self.skip_first_layer_pe:  # the tokens are their own position here, and are replaced, not added to
            tokens = self.self_attn(tokens, tokens, tokens)
        else:
            q = tokens + token_pe
            tokens = tokens + self.self_attn(q, q, tokens)
        tokens = self.norm1(tokens)
        keys = image + image_pe
        tokens = self.norm2(tokens + self.cross_attn_token_to_image(tokens + token_pe, keys, image))
        tokens = self.norm3(tokens + self.mlp(tokens))
        image = self.norm4(image + self.cross_attn_image_to_token(keys, tokens + token_pe, tokens))
        return tokens, image


class TwoWayTransformer(nn.Module):
    """A stack of two-way blocks and a final attention of the tokens to the image.

    The attention between tokens and image is ``embed_dim / attention_downsample_rate`` wide.

    Source: Kirillov et al. 2023, appendix A, "Lightweight mask decoder".
    """

    def __init__(
        self, *, depth: int, embed_dim: int, num_heads: int, mlp_dim: int, attention_downsample_rate: int = 2
    ) -> None:
        super().__init__()
        self.layers: nn.ModuleList = nn.ModuleList(
            TwoWayAttentionBlock(
                embed_dim,
                num_heads=num_heads,
                mlp_dim=mlp_dim,
                attention_downsample_rate=attention_downsample_rate,
                skip_first_layer_pe=i == 0,
            )
            for i in range(depth)
        )
        self.final_attn_token_to_image: DownscalingAttention = DownscalingAttention(
            embed_dim, num_heads=num_heads, downsample_rate=attention_downsample_rate
        )
        self.norm_final_attn: nn.LayerNorm = nn.LayerNorm(embed_dim)

    def forward(self, image: Tensor, image_pe: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Image [B,C,H,W], its position [1,C,H,W], tokens [B,N,C] -> tokens [B,N,C], image [B,HW,C]."""
        keys = image.flatten(2).transpose(1, 2)
        key_pe = image_pe.flatten(2).transpose(1, 2)
        queries = tokens
        for layer in self.layers:
            queries, keys = layer(queries, keys, tokens, key_pe)
        attended = self.final_attn_token_to_image(queries + tokens, keys + key_pe, keys)
        return self.norm_final_attn(queries + attended), keys
