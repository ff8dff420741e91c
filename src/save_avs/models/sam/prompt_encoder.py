"""SAM's prompt encoder: points, boxes and masks to the tokens and the dense map of the mask decoder."""

import math

import torch
from torch import Tensor, nn

from save_avs.models.sam.common import LayerNorm2d


class PositionEmbeddingRandom(nn.Module):
    """Positions through random Fourier features: [sin(2 pi x G), cos(2 pi x G)], x in -1..1.

    Computed in float32 whatever the precision around it: the angles are large.

    Source: Tancik et al. 2020, "Fourier features".
    """

    positional_encoding_gaussian_matrix: Tensor

    def __init__(self, embed_dim: int, scale: float = 1.0) -> None:
        super().__init__()
        matrix = torch.empty(2, embed_dim // 2).normal_(std=scale)
        self.register_buffer("positional_encoding_gaussian_matrix", matrix)

    def forward(self, coords: Tensor) -> Tensor:
        """[...,2] positions (x, y) as shares 0..1 of the image -> [...,embed_dim]."""
        matrix = self.positional_encoding_gaussian_matrix
        coords = 2 * coords.float() - 1
        # Products by element: automatic mixed precision would round a matrix product's operands.
        angle = 2 * math.pi * (coords[..., :1] * matrix[0].float() + coords[..., 1:] * matrix[1].float())
        return torch.cat([angle.sin(), angle.cos()], dim=-1).to(matrix.dtype)


class PromptEncoder(nn.Module):
    """Points, boxes and masks to sparse tokens [B,N,C] and a dense map [B,C,h,h].

    C is ``embed_dim``, h ``image_embedding_size``; coordinates are pixels of a square of side ``image_size``.

    Source: Kirillov et al. 2023, appendix A; parameter names as in the official checkpoints.
    """

    def __init__(
        self,
        *,
        embed_dim: int = 256,
        image_embedding_size: int = 64,
        image_size: int = 1024,
        mask_in_chans: int = 16,
    ) -> None:
        super().__init__()
        self.embed_dim = embed_dim
        self.image_embedding_size = image_embedding_size
        self.image_size = image_size
        self.pe_layer: PositionEmbeddingRandom = PositionEmbeddingRandom(embed_dim)
        self.point_embeddings: nn.ModuleList = nn.ModuleList(nn.Embedding(1, embed_dim) for _ in range(4))
        self.not_a_point_embed: nn.Embedding = nn.Embedding(1, embed_dim)
        self.mask_downscaling: nn.Sequential = nn.Sequential(
            nn.Conv2d(1, mask_in_chans // 4, 2, stride=2),
            LayerNorm2d(mask_in_chans // 4),
            nn.GELU(),
            nn.Conv2d(mask_in_chans // 4, mask_in_chans, 2, stride=2),
            LayerNorm2d(mask_in_chans),
            nn.GELU(),
            nn.Conv2d(mask_in_chans, embed_dim, 1),
        )
        self.no_mask_embed: nn.Embedding = nn.Embedding(1, embed_dim)

    def get_dense_pe(self) -> Tensor:
        """Position of every cell of the image embedding, [1,C,h,h]."""
        side, device = self.image_embedding_size, self.no_mask_embed.weight.device
        center = (torch.arange(side, device=device, dtype=torch.float32) + 0.5) / side
        y, x = torch.meshgrid(center, center, indexing="ij")
        return self.pe_layer(torch.stack([x, y], dim=-1)).permute(2, 0, 1).unsqueeze(0)

    def no_mask_dense(self, batch: int) -> Tensor:
        """The dense map for "no mask given", [batch,C,h,h]."""
        side = self.image_embedding_size
        return self.no_mask_embed.weight.view(1, -1, 1, 1).expand(batch, -1, side, side)

    def forward(
        self,
        points: tuple[Tensor, Tensor] | None = None,
        boxes: Tensor | None = None,
        masks: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Encode one prompt set per image; without any, the batch is one.

        Args:
            points: positions [B,N,2] (x, y in pixels) and labels [B,N]: 1 object, 0 background, -1 no point.
            boxes: [B,4], x0 y0 x1 y1 in pixels.
            masks: [B,1,4h,4h], logits of an earlier mask.

        Returns:
            sparse [B,tokens,C] and dense [B,C,h,h]. Points without a box end in a "no point" token.
        """
        tokens = []
        if points is not None:
            tokens.append(self._embed_points(*points, pad=boxes is None))
        if boxes is not None:
            tokens.append(self._embed_boxes(boxes))
        batch = len(tokens[0]) if tokens else 1 if masks is None else len(masks)
        empty = self.no_mask_embed.weight.new_empty(batch, 0, self.embed_dim)
        sparse = torch.cat(tokens, dim=1) if tokens else empty
        return sparse, self.no_mask_dense(batch) if masks is None else self.mask_downscaling(masks)

    def _position(self, xy: Tensor) -> Tensor:
        """Position code of pixels, taken at their centers: [...,2] -> [...,C]."""
        return self.pe_layer((xy.float() + 0.5) / self.image_size)

    def _point_embedding(self, i: int) -> Tensor:
        """Of a background point (0), a foreground point (1), a box's first (2) or second corner (3)."""
        return self.get_parameter(f"point_embeddings.{i}.weight")

    def _embed_points(self, xy: Tensor, labels: Tensor, pad: bool) -> Tensor:
        """[B,N,2] and [B,N] -> [B,N,C], one token more when padded."""
        labels = labels.unsqueeze(-1)
        background = torch.where(labels == 0, self._point_embedding(0), 0.0)
        tokens = self._position(xy) + torch.where(labels == 1, self._point_embedding(1), background)
        tokens = torch.where(labels == -1, self.not_a_point_embed.weight, tokens)
        if not pad:
            return tokens
        return torch.cat([tokens, self.not_a_point_embed.weight.expand(len(xy), 1, -1)], dim=1)

    def _embed_boxes(self, boxes: Tensor) -> Tensor:
        """[B,4] -> [B,2,C], one token per corner."""
        corners = torch.cat([self._point_embedding(2), self._point_embedding(3)])
        return self._position(boxes.reshape(-1, 2, 2)) + corners
