"""SAM's prompt encoder: points, boxes and masks to the tokens and the map that the mask decoder takes."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from save_avs.models.sam.layers import LayerNorm2d


class PositionEmbeddingRandom(nn.Module):
    """Positions through random Fourier features: [sin(2 pi x G), cos(2 pi x G)], x in -1..1.

    Computed in float32 whatever the precision around it: the angles are large.

    Source: Tancik et al. 2020, "Fourier features".
    """

    positional_encoding_gaussian_matrix: Tensor

    def __init__(self, dim: int, scale: float = 1.0) -> None:
        super().__init__()
        self.register_buffer("positional_encoding_gaussian_matrix", scale * torch.randn(2, dim // 2))

    def forward(self, at: Tensor) -> Tensor:
        """[...,2] positions (x, y) as shares 0..1 of the picture -> [...,dim]."""
        matrix = self.positional_encoding_gaussian_matrix
        at = 2 * at.float() - 1
        # Products by element: automatic mixed precision would round a matrix product's operands.
        angle = 2 * math.pi * (at[..., :1] * matrix[0].float() + at[..., 1:] * matrix[1].float())
        return torch.cat([angle.sin(), angle.cos()], dim=-1).to(matrix.dtype)


class PromptEncoder(nn.Module):
    """Points, boxes and masks to sparse tokens [B,N,dim] and a dense map [B,dim,grid,grid].

    Args:
        dim: channels of the tokens and of the map.
        grid: side of the image embedding.
        image_size: side of the square picture that coordinates speak of, pixels.
        mask_in_chans: hidden channels of the mask branch.

    Source: Kirillov et al. 2023, appendix A; parameter names as in the official checkpoints.
    """

    def __init__(
        self, *, dim: int = 256, grid: int = 64, image_size: int = 1024, mask_in_chans: int = 16
    ) -> None:
        super().__init__()
        self.dim = dim
        self.grid = grid
        self.image_size = image_size
        self.pe_layer = PositionEmbeddingRandom(dim)
        self.point_embeddings = nn.ModuleList(nn.Embedding(1, dim) for _ in range(4))
        self.not_a_point_embed = nn.Embedding(1, dim)
        self.mask_downscaling = nn.Sequential(
            nn.Conv2d(1, mask_in_chans // 4, 2, stride=2),
            LayerNorm2d(mask_in_chans // 4),
            nn.GELU(),
            nn.Conv2d(mask_in_chans // 4, mask_in_chans, 2, stride=2),
            LayerNorm2d(mask_in_chans),
            nn.GELU(),
            nn.Conv2d(mask_in_chans, dim, 1),
        )
        self.no_mask_embed = nn.Embedding(1, dim)

    def get_dense_pe(self) -> Tensor:
        """Position of every cell of the image embedding, [1,dim,grid,grid]."""
        device = self.no_mask_embed.weight.device
        center = (torch.arange(self.grid, device=device, dtype=torch.float32) + 0.5) / self.grid
        y, x = torch.meshgrid(center, center, indexing="ij")
        return self.pe_layer(torch.stack([x, y], dim=-1)).permute(2, 0, 1).unsqueeze(0)

    def no_mask(self, batch: int) -> Tensor:
        """The dense map that stands for "no mask given", [batch,dim,grid,grid]."""
        return self.no_mask_embed.weight.view(1, -1, 1, 1).expand(batch, -1, self.grid, self.grid)

    def forward(
        self,
        points: tuple[Tensor, Tensor] | None = None,
        boxes: Tensor | None = None,
        masks: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Encode one prompt set an image; without any, the batch is one.

        Args:
            points: positions [B,N,2] (x, y in pixels) and labels [B,N]: 1 object, 0 background, -1 no point.
            boxes: [B,4], x0 y0 x1 y1 in pixels.
            masks: [B,1,4*grid,4*grid], logits of an earlier mask.

        Returns:
            sparse [B,tokens,dim] and dense [B,dim,grid,grid]. Points without a box end in a "no point" token.
        """
        tokens = []
        if points is not None:
            tokens.append(self._points(*points, pad=boxes is None))
        if boxes is not None:
            tokens.append(self._boxes(boxes))
        batch = len(tokens[0]) if tokens else 1 if masks is None else len(masks)
        none = self.no_mask_embed.weight.new_empty(batch, 0, self.dim)
        sparse = torch.cat(tokens, dim=1) if tokens else none
        return sparse, self.no_mask(batch) if masks is None else self.mask_downscaling(masks)

    def _place(self, xy: Tensor) -> Tensor:
        """Position code of pixels, taken at their centers: [...,2] -> [...,dim]."""
        return self.pe_layer((xy.float() + 0.5) / self.image_size)

    def _kind(self, i: int) -> Tensor:
        """What marks a point as background (0), foreground (1), a box's first (2) or second corner (3)."""
        return self.get_parameter(f"point_embeddings.{i}.weight")

    def _points(self, xy: Tensor, labels: Tensor, pad: bool) -> Tensor:
        """[B,N,2] and [B,N] -> [B,N,dim], one token more when padded."""
        at, kind = self._place(xy), labels.unsqueeze(-1)
        offset = torch.where(kind == 1, self._kind(1), torch.where(kind == 0, self._kind(0), 0.0))
        tokens = at + offset
        tokens = torch.where(kind == -1, self.not_a_point_embed.weight, tokens)
        if not pad:
            return tokens
        return torch.cat([tokens, self.not_a_point_embed.weight.expand(len(xy), 1, -1)], dim=1)

    def _boxes(self, boxes: Tensor) -> Tensor:
        """[B,4] -> [B,2,dim], one token a corner."""
        corners = torch.cat([self._kind(2), self._kind(3)])
        return self._place(boxes.reshape(-1, 2, 2)) + corners
