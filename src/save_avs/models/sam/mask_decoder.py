"""SAM's mask decoder: image embedding and prompt to mask logits and their estimated quality."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from save_avs.models.sam.layers import LayerNorm2d
from save_avs.models.sam.transformer import TwoWayTransformer


class MLP(nn.Module):
    """Linear layers with ReLU between them."""

    def __init__(self, in_dim: int, hidden: int, out_chans: int, depth: int) -> None:
        super().__init__()
        widths = [in_dim, *[hidden] * (depth - 1), out_chans]
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(widths))

    def forward(self, x: Tensor) -> Tensor:
        """[...,in_dim] -> [...,out_dim]."""
        for layer in self.layers[:-1]:
            x = F.relu(layer(x))
        return self.layers[-1](x)


class MaskDecoder(nn.Module):
    """Image embedding and one prompt set an image to mask logits.

    Image i meets prompt i, never another's.

    Args:
        dim: channels C of embedding and tokens.
        depth: two-way blocks.
        num_heads: attention heads.
        mlp_dim: hidden width of the two-way blocks' MLP.
        num_multimask_outputs: masks offered when the prompt is ambiguous.
        iou_head_depth: layers of the quality head.
        iou_head_hidden_dim: its hidden width.

    Source: Kirillov et al. 2023, appendix A; parameter names as in the official checkpoints.
    """

    def __init__(
        self,
        *,
        dim: int = 256,
        depth: int = 2,
        num_heads: int = 8,
        mlp_dim: int = 2048,
        num_multimask_outputs: int = 3,
        iou_head_depth: int = 3,
        iou_head_hidden_dim: int = 256,
    ) -> None:
        super().__init__()
        masks = num_multimask_outputs + 1
        self.transformer = TwoWayTransformer(depth=depth, dim=dim, num_heads=num_heads, mlp_dim=mlp_dim)
        self.iou_token = nn.Embedding(1, dim)
        self.mask_tokens = nn.Embedding(masks, dim)
        self.output_upscaling = nn.Sequential(
            nn.ConvTranspose2d(dim, dim // 4, 2, stride=2),
            LayerNorm2d(dim // 4),
            nn.GELU(),
            nn.ConvTranspose2d(dim // 4, dim // 8, 2, stride=2),
            nn.GELU(),
        )
        self.output_hypernetworks_mlps = nn.ModuleList(MLP(dim, dim, dim // 8, 3) for _ in range(masks))
        self.iou_prediction_head = MLP(dim, iou_head_hidden_dim, masks, iou_head_depth)

    def forward(
        self,
        image_embeddings: Tensor,
        image_pe: Tensor,
        sparse_prompt_embeddings: Tensor,
        dense_prompt_embeddings: Tensor,
        multimask_output: bool,
    ) -> tuple[Tensor, Tensor]:
        """Decode B images with B prompt sets.

        Args:
            image_embeddings: [B,C,h,w].
            image_pe: [1,C,h,w], `PromptEncoder.get_dense_pe()`.
            sparse_prompt_embeddings: [B,N,C].
            dense_prompt_embeddings: [B,C,h,w].
            multimask_output: three masks for an ambiguous prompt, or the single one.

        Returns:
            mask logits [B,1 or 3,4h,4w] and estimated IoU [B,1 or 3].
        """
        tokens, upscaled = self.attend(
            image_embeddings, image_pe, sparse_prompt_embeddings, dense_prompt_embeddings
        )
        masks = self.masks(tokens, upscaled, multimask_output)
        iou = self.iou_prediction_head(tokens[:, 0])
        return masks, iou[:, 1:] if multimask_output else iou[:, :1]

    def attend(
        self,
        image_embeddings: Tensor,
        image_pe: Tensor,
        sparse_prompt_embeddings: Tensor,
        dense_prompt_embeddings: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """Let tokens and image meet; the arguments are `forward`'s.

        Returns:
            tokens [B,1+masks+N,C]: the quality's, the masks', the prompt's; and the upscaled embedding
            [B,C/8,4h,4w].
        """
        b, _, h, w = image_embeddings.shape
        own = torch.cat([self.iou_token.weight, self.mask_tokens.weight])
        tokens = torch.cat([own.expand(b, -1, -1), sparse_prompt_embeddings.to(own.dtype)], dim=1)
        tokens, image = self.transformer(image_embeddings + dense_prompt_embeddings, image_pe, tokens)
        return tokens, self.output_upscaling(image.transpose(1, 2).unflatten(2, (h, w)))

    def masks(self, tokens: Tensor, upscaled: Tensor, multimask_output: bool) -> Tensor:
        """Mask logits [B,1 or 3,4h,4w] of what `attend` returns."""
        wanted = range(1, self.mask_tokens.num_embeddings) if multimask_output else range(1)
        kernels = torch.stack(
            [self.output_hypernetworks_mlps[i](tokens[:, 1 + i]) for i in wanted], dim=1
        )  # [B,masks,C/8]
        return (kernels @ upscaled.flatten(2)).unflatten(2, upscaled.shape[2:])
