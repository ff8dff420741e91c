"""Self-attention over a grid of tokens, in windows or whole, with decomposed relative position.

The published encoder pads a grid that the window does not divide with zero tokens, and computes them like
all others. Their query, key and value equal the bias of the qkv layer, so here they are never computed:
a window that the grid's edge cuts asks only its real queries and completes its keys and values with the bias.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn


class Region(NamedTuple):
    """A part of the grid in which every window keeps the same ``h`` x ``w`` real tokens.

    ``top``, ``left``: its first row and column; ``down``, ``across``: how many windows it holds each way.
    """

    top: int
    left: int
    down: int
    across: int
    h: int
    w: int


def cut(length: int, window: int) -> list[tuple[int, int, int]]:
    """Split one side of the grid into whole windows and the rest: (start, windows, tokens in each)."""
    whole, rest = divmod(length, window)
    pieces = [(0, whole, window)] if whole else []
    return pieces + ([(whole * window, 1, rest)] if rest else [])


def key_positions(h: int, w: int, window: int) -> Tensor:
    """One-hot row and column of each key of a window, [window * window, 2 * window].

    The h x w real keys come first, row by row, then the missing ones.
    """
    at = torch.arange(window * window).view(window, window)
    missing = torch.ones(window, window, dtype=torch.bool)
    missing[:h, :w] = False
    order = torch.cat([at[:h, :w].reshape(-1), at[missing]])
    one = torch.eye(window)
    return torch.cat([one[order // window], one[order % window]], dim=1)


class GridAttention(nn.Module):
    """Multi-head attention among the tokens of each window of a grid.

    logit(q, k) = q.k / sqrt(d) + q.R_h[row(q) - row(k)] + q.R_w[col(q) - col(k)]

    The position terms ride along as extra channels: each query carries its product with every row and column
    offset, each key a one-hot of its row and column, so that one matrix product gives the whole logit.

    Args:
        dim: channels C.
        heads: number of heads; head width d = C / heads.
        grid: tokens on one side of the square grid.
        window: tokens on one side of a window; 0 for attention over the whole grid.

    Source: Kirillov et al. 2023 (SAM); Li et al. 2022 (MViTv2) for the decomposed relative position.
    """

    def __init__(self, dim: int, *, heads: int, grid: int, window: int = 0) -> None:
        super().__init__()
        self.heads = heads
        self.head_dim = dim // heads
        self.grid = grid
        self.window = window or grid
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)
        self.rel_pos_h = nn.Parameter(torch.zeros(2 * self.window - 1, self.head_dim))
        self.rel_pos_w = nn.Parameter(torch.zeros(2 * self.window - 1, self.head_dim))
        pieces = cut(grid, self.window)
        self.regions = [
            [Region(top, left, down, across, h, w) for left, across, w in pieces] for top, down, h in pieces
        ]
        for region in (r for row in self.regions for r in row):
            positions = key_positions(region.h, region.w, self.window)
            self.register_buffer(f"keys_{region.h}x{region.w}", positions, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """[B,H,W,C] -> [B,H,W,C]."""
        qkv = self.qkv(x)
        toward_h, toward_w = offsets(self.rel_pos_h, self.window), offsets(self.rel_pos_w, self.window)
        rows = [
            torch.cat([self._attend(qkv, region, toward_h, toward_w) for region in row], dim=2)
            if len(row) > 1
            else self._attend(qkv, row[0], toward_h, toward_w)
            for row in self.regions
        ]
        return self.proj(torch.cat(rows, dim=1) if len(rows) > 1 else rows[0])

    def _attend(self, qkv: Tensor, region: Region, toward_h: Tensor, toward_w: Tensor) -> Tensor:
        """Attention in all windows of one region: [B,H,W,3C] -> [B,region rows,region columns,C]."""
        _, _, down, across, h, w = region
        b, heads, d = qkv.shape[0], self.heads, self.head_dim
        part = qkv[:, region.top : region.top + down * h, region.left : region.left + across * w]
        part = part.reshape(b, down, h, across, w, 3, heads, d).permute(5, 0, 1, 3, 6, 2, 4, 7)
        q, k, v = part.unbind(0)  # each [B,down,across,heads,h,w,d]
        to_rows = torch.einsum("...hwd,hdk->...hwk", q, toward_h[:h].to(q.dtype))
        to_columns = torch.einsum("...hwd,wdk->...hwk", q, toward_w[:w].to(q.dtype))
        query = torch.cat([q * d**-0.5, to_rows, to_columns], dim=-1).flatten(-3, -2)
        k, v = k.flatten(-3, -2), v.flatten(-3, -2)  # [...,h*w,d]
        lacking = self.window**2 - h * w
        if lacking:
            _, k_bias, v_bias = self.qkv.bias.to(k.dtype).view(3, heads, 1, d).unbind(0)
            k = torch.cat([k, k_bias.expand(*k.shape[:-2], lacking, d)], dim=-2)
            v = torch.cat([v, v_bias.expand(*v.shape[:-2], lacking, d)], dim=-2)
        positions = self.get_buffer(f"keys_{h}x{w}").to(k.dtype)
        key = torch.cat([k, positions.expand(*k.shape[:-1], 2 * self.window)], dim=-1)
        out = (query @ key.transpose(-1, -2)).softmax(dim=-1).to(v.dtype) @ v  # [B,down,across,heads,h*w,d]
        out = out.view(b, down, across, heads, h, w, d).permute(0, 1, 4, 2, 5, 3, 6)
        return out.reshape(b, down * h, across * w, heads * d)


def offsets(table: Tensor, window: int) -> Tensor:
    """Vector of each (query, key) pair along one side: [2*window-1,d] -> [query,d,key], entry query - key."""
    return table.unfold(0, window, 1).flip(-1)
