"""Kernels for SAM and its adapters on a CPU; with ``ENABLED`` off, or elsewhere, torch's plain layers run.

Four things that torch's CPU build does slowly, each equal to the plain path to rounding:

* Products in float32 go to MKL, which leaves half of an AMD CPU's vector width unused, and the activation
  after them is a pass of its own: ``Linear`` goes to oneDNN, activation included.
* A plain weight is repacked at every product and convolution: ``PackedLinear`` and ``PackedConv`` pack it
  once.
* Products of many small matrices run at a fraction of oneDNN's speed, and logits of a whole layer fall out of
  the caches: ``onednn_attention`` multiplies head by head, some rows at a time.
* Convolutions repack millions of weights at every training step, forward and twice backward:
  ``MatmulConv2d`` and ``MatmulConvTranspose2d`` train as one product with the unfolded tokens each.
"""

import os
from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

ENABLED = os.environ.get("SAVE_AVS_CPU_KERNELS", "1") != "0"

PACKED_ROWS = 2048  # that a packed layout is chosen for: eight frames of 256 px; any number can be multiplied
CHUNK_LOGITS = 2**21  # of one head that are held at a time, so that they stay in the cache
MIN_FUSED_KEYS = 256  # from which on torch's fused attention wins, where the CPU has matrix tiles
MIN_BF16_KEYS = 1024  # from which on oneDNN's attention wins in bfloat16, where it has none
_ACTIVATIONS: dict[type[nn.Module], str] = {nn.Identity: "none", nn.ReLU: "relu", nn.GELU: "gelu"}

_onednn = torch.ops.mkldnn


def _apply_to(tensor: Tensor) -> bool:
    """Whether a tensor is computed on a CPU, here and now: exported graphs have plain layers alone."""
    return ENABLED and tensor.device.type == "cpu" and not torch.compiler.is_compiling()


def has_onednn() -> bool:
    """Whether this torch has the (undocumented) operators of oneDNN that this module calls."""
    names = ("_linear_pointwise", "_reorder_linear_weight")
    return torch.backends.mkldnn.is_available() and all(hasattr(_onednn, name) for name in names)


def use_fused_attention(query: Tensor, keys: int) -> bool:
    """Whether torch's fused kernel is the fastest attention here: in bfloat16 with matrix tiles (AMX).

    Plain products win for small windows, without tiles, and wherever a gradient is wanted.
    """
    if query.dtype != torch.bfloat16 or keys < MIN_FUSED_KEYS or query.requires_grad:
        return False
    return _apply_to(query) and torch.cpu._is_amx_tile_supported()


def use_onednn_attention(query: Tensor, keys: int) -> bool:
    """Whether ``onednn_attention`` is the fastest attention, for inference.

    It is in float32, and for many keys in bfloat16 without matrix tiles.
    """
    if not _apply_to(query) or _wants_gradient(query) or not has_onednn():
        return False
    if query.dtype == torch.bfloat16:
        return keys >= MIN_BF16_KEYS and has_fast_bf16_products()
    return query.dtype == torch.float32


def has_fast_bf16_products() -> bool:
    """Return whether oneDNN multiplies bfloat16 on this CPU and torch's fused attention does not."""
    return _onednn._is_mkldnn_bf16_supported() and not torch.cpu._is_amx_tile_supported()


def _wants_gradient(*tensors: Tensor) -> bool:
    return torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors)


def onednn_attention(query: Tensor, key: Tensor, value: Tensor, rel_h: Tensor, rel_w: Tensor) -> Tensor:
    """Softmax attention with decomposed relative position, within grids of h x w tokens.

    Args:
        query: [...,h,w,d].
        key: scaled, of the same shape.
        value: of the same shape.
        rel_h: [...,h,w,h], each query's term for every row of keys.
        rel_w: [...,h,w,w], for every column.

    Returns:
        [...,h,w,d].
    """
    out = torch.empty(query.shape, dtype=query.dtype)
    h, w, d = query.shape[-3:]
    rows = max(1, CHUNK_LOGITS // (w * h * w))
    # contiguous: with rows that lie apart, oneDNN takes a hundred times as long
    tensors = (t.contiguous().view(-1, *t.shape[-3:]) for t in (out, query, key, value, rel_h, rel_w))
    for to, q, k, v, by_row, by_column in zip(*tensors, strict=True):  # each window and head
        keys, values = k.view(h * w, d), v.view(h * w, d).t().contiguous()
        for i in range(0, h, rows):
            some = slice(i, i + rows)
            logits = _multiply(q[some].view(-1, d), keys)  # [rows*w,h*w]
            grid = logits.view(-1, w, h, w)
            grid += by_row[some].unsqueeze(-1)
            grid += by_column[some].unsqueeze(-2)
            to[some] = _multiply(logits.softmax(-1), values).view(-1, w, d)
    return out


def _multiply(x: Tensor, weight: Tensor) -> Tensor:
    """X W': [n,c], [m,c] -> [n,m]."""
    return _onednn._linear_pointwise(x, weight, None, "none", [], "none")


class Linear(nn.Linear):
    """``nn.Linear`` with an activation: ``act(W x + b)``, [...,in] -> [...,out].

    Args:
        in_features: width of the input.
        out_features: width of the output.
        act: the class of the activation: ``nn.GELU`` (exact), ``nn.ReLU`` or none.
    """

    def __init__(self, in_features: int, out_features: int, act: type[nn.Module] = nn.Identity) -> None:
        super().__init__(in_features, out_features)
        self.act: nn.Module = act()

    def forward(self, input: Tensor) -> Tensor:
        """[...,in] -> [...,out]."""
        if not self._use_onednn(input):
            return self.act(super().forward(input))
        return _onednn._linear_pointwise(input, self.weight, self.bias, self.activation, [], "none")

    @property
    def activation(self) -> str:
        """OneDNN's name of the activation."""
        return _ACTIVATIONS[type(self.act)]

    def _use_onednn(self, x: Tensor) -> bool:
        if not x.dtype == self.weight.dtype == torch.float32 or torch.is_autocast_enabled("cpu"):
            return False
        return _apply_to(x) and not _wants_gradient(x, self.weight) and has_onednn()


class PackedLinear(nn.Module):
    """A ``Linear`` for inference, [...,in] -> [...,out], in the dtype of its weights.

    The packed weight is no parameter: it has a layout of its own, and can be neither saved nor trained.

    Args:
        linear: on the CPU; it is not changed.
    """

    def __init__(self, linear: Linear) -> None:
        super().__init__()
        self.bias = linear.bias
        self.activation = linear.activation
        self._weight = _onednn._reorder_linear_weight(linear.weight.detach(), PACKED_ROWS)

    def forward(self, x: Tensor) -> Tensor:
        """[...,in] -> [...,out]; a ValueError when a gradient is wanted."""
        if _wants_gradient(x):
            raise ValueError("packed weights have no gradient: load the model with precision='fp32'")
        return _onednn._linear_pointwise(x, self._weight, self.bias, self.activation, [], "none")


class MatmulConv2d(nn.Conv2d):
    """``nn.Conv2d`` without a bias: while it is trained, W [out,in*k*k] times the patches of the input."""

    def forward(self, input: Tensor) -> Tensor:
        """[B,in,H,W] -> [B,out,h,w]."""
        if not _use_matmul(self):
            return super().forward(input)
        (kernel, _), (stride, _), padding = self.kernel_size, self.stride, _padding(self)
        patches = F.unfold(input, kernel, stride=stride, padding=padding)  # [B,in*k*k,h*w]
        return (self.weight.flatten(1) @ patches).unflatten(
            2, [_output_side(self, n) for n in input.shape[2:]]
        )


class MatmulConvTranspose2d(nn.ConvTranspose2d):
    """``nn.ConvTranspose2d`` without a bias: while it is trained, the overlapping patches W' x, added up."""

    def forward(self, input: Tensor, output_size: list[int] | None = None) -> Tensor:
        """[B,in,h,w] -> [B,out,H,W]."""
        if not _use_matmul(self):
            return super().forward(input, output_size)
        (kernel, _), (stride, _), padding = self.kernel_size, self.stride, _padding(self)
        patches = self.weight.flatten(1).t() @ input.flatten(2)  # [B,out*k*k,h*w]
        size = tuple(_output_side(self, n) for n in input.shape[2:])
        return F.fold(patches, size, kernel, stride=stride, padding=padding)


class PackedConv(nn.Module):
    """``relu(conv(x))`` for inference, [B,in,H,W] -> [B,out,h,w], in the dtype of its weights.

    The packed weight is no parameter, as in ``PackedLinear``.

    Args:
        conv: plain or transposed, with as much padding, stride and dilation in height as in width.
        side: of the input that the layout is chosen for; in other sizes oneDNN takes up to a hundred times as
            long.
    """

    def __init__(self, conv: MatmulConv2d | MatmulConvTranspose2d, side: int) -> None:
        super().__init__()
        if isinstance(conv, MatmulConv2d):
            kind, extra = "", ()
        else:
            kind, extra = "_transpose", (conv.output_padding,)
        self._shape = (conv.padding, *extra, conv.stride, conv.dilation, conv.groups)
        self._convolve = getattr(_onednn, f"_convolution{kind}_pointwise")
        reorder = getattr(_onednn, f"_reorder_convolution{kind}_weight")
        self._weight = reorder(conv.weight.detach(), *self._shape, [1, conv.in_channels, side, side])

    def forward(self, x: Tensor) -> Tensor:
        """[B,in,H,W] -> [B,out,h,w]; no gradient."""
        return self._convolve(x, self._weight, None, *self._shape, "relu", [], "")


def pack_layers(blocks: nn.ModuleList, side: int) -> None:
    """Pack the layers of an image encoder's blocks and of their adapters, in place.

    ``side``: of the grid of tokens, which they can be used on alone.
    """
    for block in blocks:
        for name in ("attn.qkv", "attn.proj", "mlp.lin1", "mlp.lin2"):
            linear = block.get_submodule(name)
            assert isinstance(linear, Linear)
            block.set_submodule(name, PackedLinear(linear))
        for branch in list(block.modules()):
            if isinstance(branch, nn.Sequential):
                _pack_convolutions(branch, side)


def _pack_convolutions(branch: nn.Sequential, side: int) -> None:
    """Pack each convolution together with the ReLU after it, which becomes an identity."""
    for i, (conv, act) in enumerate(pairwise(list(branch))):
        if isinstance(conv, MatmulConv2d | MatmulConvTranspose2d) and isinstance(act, nn.ReLU):
            branch[i], branch[i + 1] = PackedConv(conv, side), nn.Identity()
            side = _output_side(conv, side)


def _output_side(layer: nn.Conv2d | nn.ConvTranspose2d, side: int) -> int:
    (kernel, _), (stride, _), padding = layer.kernel_size, layer.stride, _padding(layer)
    if isinstance(layer, nn.Conv2d):
        return (side + 2 * padding - kernel) // stride + 1
    return (side - 1) * stride - 2 * padding + kernel


def _padding(layer: nn.Conv2d | nn.ConvTranspose2d) -> int:
    padding, _ = cast(tuple[int, int], layer.padding)
    return padding


def _use_matmul(layer: nn.Conv2d | nn.ConvTranspose2d) -> bool:
    learns = layer.weight.requires_grad and torch.is_grad_enabled()
    return learns and layer.groups == 1 and _apply_to(layer.weight)
