"""Reference implementations: transformers' SAM, and the computation of published AVS code.

Published AVS code runs the original SAM: float32, windows padded with zero tokens that are computed like all
others, an additive bias for every query and key, and one image at a time through the mask decoder. It is
reimplemented here on our weights, so both give the same result.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from save_avs.models import SAVE
from save_avs.models.sam import Block, ImageEncoderViT, SamConfig
from save_avs.models.sam.attention import Attention


class PaddedAttention(nn.Module):
    """The original SAM's attention, with the weights of an `Attention`."""

    def __init__(self, attention: Attention, windowed: bool) -> None:
        super().__init__()
        self.attention = attention
        self.windowed = windowed

    def forward(self, x: Tensor) -> Tensor:
        """[B,H,W,C] -> [B,H,W,C]."""
        if not self.windowed:
            return self._attend(x)
        b, h, w, c = x.shape
        n = self.attention.window_size
        rows, columns = -(-h // n), -(-w // n)
        x = F.pad(x, (0, 0, 0, columns * n - w, 0, rows * n - h))
        x = x.view(b, rows, n, columns, n, c).transpose(2, 3).reshape(-1, n, n, c)
        x = self._attend(x).view(b, rows, columns, n, n, c).transpose(2, 3)
        return x.reshape(b, rows * n, columns * n, c)[:, :h, :w]

    def _attend(self, x: Tensor) -> Tensor:
        b, h, w, c = x.shape
        num_heads = self.attention.num_heads
        qkv = self.attention.qkv(x).view(b, h * w, 3, num_heads, -1).permute(2, 0, 3, 1, 4)
        q, k, v = qkv.flatten(1, 2).unbind(0)  # [B*heads,HW,d]
        logits = (q * q.shape[-1] ** -0.5) @ k.transpose(1, 2)
        grid = q.view(-1, h, w, q.shape[-1])
        to_h = torch.einsum("bhwc,hkc->bhwk", grid, _relative_positions(self.attention.rel_pos_h, h))
        to_w = torch.einsum("bhwc,wkc->bhwk", grid, _relative_positions(self.attention.rel_pos_w, w))
        logits = logits.view(-1, h, w, h, w) + to_h.unsqueeze(-1) + to_w.unsqueeze(-2)
        out = logits.view(-1, h * w, h * w).softmax(dim=-1) @ v
        return self.attention.proj(
            out.view(b, num_heads, h, w, -1).permute(0, 2, 3, 1, 4).reshape(b, h, w, c)
        )


def _relative_positions(table: Tensor, side: int) -> Tensor:
    """[2*side-1,d] -> [query,key,d]."""
    position = torch.arange(side)
    return table[position[:, None] - position[None, :] + side - 1]


def make_reference_encoder(encoder: ImageEncoderViT) -> ImageEncoderViT:
    """Return a copy of an encoder that computes as the original SAM does."""
    reference = copy.deepcopy(encoder)
    for block in reference.blocks:
        assert isinstance(block, Block)
        block.attn = PaddedAttention(block.attn, block.attn.window_size != reference.image_embedding_size)  # pyright: ignore
    return reference


class ReferenceSAVE(nn.Module):
    """A SAVE with the original SAM's encoder, which decodes one image and prompt at a time."""

    def __init__(self, model: SAVE) -> None:
        super().__init__()
        self.model = copy.deepcopy(model)
        self.model.sam.image_encoder = make_reference_encoder(model.sam.image_encoder)

    def forward(self, images: Tensor, log_mel: Tensor) -> Tensor:
        """Images [B,3,S,S] and log-mel [B,1,96,64] -> logits [B,1,M,M]."""
        embeddings, prompts = self.model.encode(images, log_mel)
        assert prompts is not None
        pairs = zip(embeddings.split(1), prompts.split(1), strict=True)
        return torch.cat([self.model.decode(embedding, prompt) for embedding, prompt in pairs])


def build_transformers_sam(config: SamConfig, image_size: int) -> nn.Module:
    """Build transformers' `SamModel` with the same dimensions and random weights."""
    import transformers

    vision = transformers.SamVisionConfig(
        hidden_size=config.embed_dim,
        output_channels=config.prompt_embed_dim,
        num_hidden_layers=config.depth,
        num_attention_heads=config.num_heads,
        image_size=image_size,
        patch_size=config.patch_size,
        mlp_dim=int(config.embed_dim * config.mlp_ratio),
        window_size=config.window_size,
        global_attn_indexes=list(config.global_attn_indexes),
    )
    sam_config = transformers.SamConfig(
        vision_config=vision,
        prompt_encoder_config=transformers.SamPromptEncoderConfig(
            image_size=image_size, patch_size=config.patch_size
        ),
        mask_decoder_config=transformers.SamMaskDecoderConfig(),
    )
    return transformers.SamModel(sam_config).eval()
