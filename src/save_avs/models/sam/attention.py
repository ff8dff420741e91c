"""Windowed or global self-attention over a grid of tokens, with decomposed relative position.

The published encoder pads a grid that the window does not divide with zero tokens and computes them like all
others. Their query, key and value equal the bias of the qkv layer, so here they are never computed: a window
that the grid's edge cuts has only its real queries, and its padded keys, which share one key and one value
and differ in position alone, are gathered into a single key.
"""

from functools import reduce
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from save_avs.models.sam import cpu_kernels

# Logits of one image that plain products hold at a time: more fall out of the CPU's caches (measured at 512
# and 1024 px; at 256 px every layer stays below it).
MAX_LOGITS = 2**23


class WindowRegion(NamedTuple):
    """A part of the grid in which every window keeps the same ``h`` x ``w`` real tokens.

    ``down``, ``across``: number of windows each way.
    """

    down: int
    across: int
    h: int
    w: int


def split_side(length: int, window_size: int) -> list[tuple[int, int]]:
    """Split one side of the grid into whole windows and the rest: (windows, tokens in each)."""
    whole, rest = divmod(length, window_size)
    return ([(whole, window_size)] if whole else []) + ([(1, rest)] if rest else [])


def get_rel_pos(table: Tensor, window_size: int) -> Tensor:
    """Relative positions along one side: [2*window-1,d] -> [query,d,key], entry query - key."""
    return table.unfold(0, window_size, 1).flip(-1)


def padded_keys_logsumexp(rel_h: Tensor, rel_w: Tensor) -> Tensor:
    """Log-sum-exp of the position terms of all keys that the grid's edge cuts off.

    The padded keys of an h x w window are all rows of its padded columns, and its padded rows of the real
    columns; position terms add, so each sum is a product of two.

    Args:
        rel_h: [...,h,w,window], each query's term for every row of its window, h of them real.
        rel_w: [...,h,w,window], for every column, w of them real.

    Returns:
        [...,h,w] float32.
    """
    h, w, window_size = rel_h.shape[-3:]
    rel_h, rel_w = rel_h.float(), rel_w.float()
    sums = []
    if w < window_size:
        sums.append(rel_h.logsumexp(-1) + rel_w[..., w:].logsumexp(-1))
    if h < window_size:
        sums.append(rel_h[..., h:].logsumexp(-1) + rel_w[..., :w].logsumexp(-1))
    return reduce(torch.logaddexp, sums)


class Attention(nn.Module):
    """Multi-head attention among the tokens of each window of a grid.

    logit(q, k) = q.k / sqrt(d) + q.R_h[row(q) - row(k)] + q.R_w[col(q) - col(k)]

    The position terms are extra channels: each query carries its product with every row and column offset,
    each key a one-hot of its row and column, so that one matrix product gives the whole logit.

    Args:
        dim: channels C.
        num_heads: number of heads; head width d = C / num_heads.
        input_size: side of the square grid, tokens.
        window_size: side of a window, tokens; 0 for attention over the whole grid.

    Source: Kirillov et al. 2023 (SAM); Li et al. 2022 (MViTv2) for the decomposed relative position.
    """

    def __init__(self, dim: int, *, num_heads: int, input_size: int, window_size: int = 0) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.head_dim = dim // num_heads
        self.window_size = window_size or input_size
        self.qkv = cpu_kernels.Linear(dim, 3 * dim)
        self.proj = cpu_kernels.Linear(dim, dim)
        self.rel_pos_h = nn.Parameter(torch.zeros(2 * self.window_size - 1, self.head_dim))
        self.rel_pos_w = nn.Parameter(torch.zeros(2 * self.window_size - 1, self.head_dim))
        splits = split_side(input_size, self.window_size)
        self.regions = [[WindowRegion(down, across, h, w) for across, w in splits] for down, h in splits]
        self.sides = [windows * tokens for windows, tokens in splits]

    def forward(self, x: Tensor) -> Tensor:
        """[B,H,W,C] -> [B,H,W,C]."""
        qkv = self.qkv(x)
        rel_pos = (
            get_rel_pos(self.rel_pos_h, self.window_size).to(qkv.dtype),
            get_rel_pos(self.rel_pos_w, self.window_size).to(qkv.dtype),
        )
        out = []
        # Split, not sliced: the gradient of each slice would be a whole grid, most of it zeros.
        for regions, row in zip(self.regions, qkv.split(self.sides, dim=1), strict=True):
            parts = zip(regions, row.split(self.sides, dim=2), strict=True)
            out.append(
                _cat([self._region_attention(part, region, *rel_pos) for region, part in parts], dim=2)
            )
        return self.proj(_cat(out, dim=1))

    def _region_attention(
        self, qkv: Tensor, region: WindowRegion, rel_pos_h: Tensor, rel_pos_w: Tensor
    ) -> Tensor:
        """Attention in all windows of one region, [B,rows,columns,3C] -> [B,rows,columns,C]."""
        down, across, h, w = region
        b, heads, d = qkv.shape[0], self.num_heads, self.head_dim
        qkv = qkv.reshape(b, down, h, across, w, 3, heads, d).permute(5, 0, 1, 3, 6, 2, 4, 7)
        q, k, v = qkv.unbind(0)  # each [B,down,across,heads,h,w,d]
        rel_h = torch.einsum("...hwd,hdk->...hwk", q, rel_pos_h[:h])
        rel_w = torch.einsum("...hwd,wdk->...hwk", q, rel_pos_w[:w])
        if h * w == self.window_size**2 and cpu_kernels.use_onednn_attention(q, h * w):
            out = cpu_kernels.onednn_attention(q, k * d**-0.5, v, rel_h, rel_w)
        else:
            out = self._extra_channel_attention(q, k, v, rel_h, rel_w)
        return out.permute(0, 1, 4, 2, 5, 3, 6).reshape(b, down * h, across * w, heads * d)

    def _extra_channel_attention(
        self, q: Tensor, k: Tensor, v: Tensor, rel_h: Tensor, rel_w: Tensor
    ) -> Tensor:
        """Attention within windows, [B,down,across,heads,h,w,...] each, the position as extra channels."""
        h, w, d = q.shape[-3:]
        query = [q, rel_h[..., :h], rel_w[..., :w]]
        key = torch.cat([k * d**-0.5, _one_hot(k, h, w)], dim=-1).flatten(-3, -2)  # [...,h*w,d+h+w]
        v = v.flatten(-3, -2)
        if h * w < self.window_size**2:
            k_bias, v_bias = self.qkv.bias.to(k.dtype).view(3, self.num_heads, 1, d)[1:]
            padded = (q * (k_bias.unsqueeze(1) * d**-0.5)).sum(-1) + padded_keys_logsumexp(rel_h, rel_w)
            query.append(padded.unsqueeze(-1).to(q.dtype))
            key = _append_key(key)
            v = torch.cat([v, v_bias.expand(*v.shape[:-2], 1, d)], dim=-2)
        return self._softmax_attention(torch.cat(query, dim=-1), key, v)

    def _softmax_attention(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Softmax attention: fused, or by plain products for some rows of queries at a time.

        Queries [B,down,across,heads,h,w,c], keys [...,K,c], values [...,K,d] -> [...,h,w,d].
        """
        down, across, heads, h, w = query.shape[1:-1]
        on_gpu = query.device.type not in ("cpu", "meta")
        if on_gpu or cpu_kernels.use_fused_attention(query, key.shape[-2]):
            return _fused_attention(query.flatten(-3, -2), key, value).unflatten(-2, (h, w))
        parts = -(-down * across * heads * h * w * key.shape[-2] // MAX_LOGITS)
        key = key.transpose(-1, -2)
        out = [
            (rows.flatten(-3, -2) @ key).softmax(dim=-1).to(value.dtype) @ value
            for rows in query.split(-(-h // parts), dim=-3)
        ]
        return _cat(out, dim=-2).unflatten(-2, (h, w))


def _fused_attention(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Softmax attention in one kernel: [...,Q,c], [...,K,c], [...,K,d] -> [...,Q,d].

    Batch and windows become one axis. All are padded to one width, a multiple of eight: flash attention takes
    nothing else (up to 256: ViT-B has 192 at 1024 px), nor do matrix tiles. In float32 a GPU has no flash
    attention, and the memory-efficient one takes narrower values.
    """
    width, channels = -(-query.shape[-1] // 8) * 8, value.shape[-1]
    narrow = value.dtype == torch.float32 and value.device.type != "cpu"
    q, k, v = (t.flatten(0, -4) for t in (query, key, value))
    q, k, v = _pad_channels(q, width), _pad_channels(k, width), v if narrow else _pad_channels(v, width)
    out = F.scaled_dot_product_attention(q, k, v, scale=1.0)
    return out[..., :channels].reshape(*query.shape[:-1], channels)


def _pad_channels(x: Tensor, width: int) -> Tensor:
    """Append zero channels up to a width."""
    return x if x.shape[-1] == width else F.pad(x, (0, width - x.shape[-1]))


def _cat(parts: list[Tensor], dim: int) -> Tensor:
    """Concatenate, without a copy when there is only one part."""
    return parts[0] if len(parts) == 1 else torch.cat(parts, dim=dim)


def _one_hot(k: Tensor, h: int, w: int) -> Tensor:
    """One-hot row and column of each key of [...,h,w,d], as [...,h,w,h+w]."""
    rows = torch.eye(h, dtype=k.dtype, device=k.device).unsqueeze(1).expand(h, w, h)
    columns = torch.eye(w, dtype=k.dtype, device=k.device).expand(h, w, w)
    return torch.cat([rows, columns], dim=-1).expand(*k.shape[:-1], h + w)


def _append_key(key: Tensor) -> Tensor:
    """Append a channel that is 0 for all present keys, and a key that is 1 there and 0 elsewhere.

    [...,K,c] -> [...,K+1,c+1]: the new key's logit is whatever a query carries in the new channel.
    """
    k, c = key.shape[-2:]
    return F.pad(key, (0, 1, 0, 1)) + F.pad(key.new_ones(1, 1), (c, 0, k, 0))
