"""What passes through a SAVE, caught by hooks: the model's own code knows nothing of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from save_avs.models.sam.transformer import DownscalingAttention
from save_avs.models.save import SAVE


@dataclass
class Recording:
    """One pass of B frames through a model; filled while it runs.

    Attributes:
        entering: what enters each block, injection added, [B,h,w,C] a block.
        leaving: what leaves it, [B,h,w,C] a block.
        adapted: what its image adapter added, [B,h,w,C], for blocks that have one.
        injections: what the sound added to every token, [B,C] or None a block.
        prompt: the decoder's prompt tokens, [B,N,C]; None without.
        attention: how the decoder's tokens look at the image, by layer, [B,heads,tokens,h*w].
        logits: what came out, [B,1,M,M].
    """

    entering: dict[int, Tensor] = field(default_factory=dict)
    leaving: dict[int, Tensor] = field(default_factory=dict)
    adapted: dict[int, Tensor] = field(default_factory=dict)
    injections: list[Tensor | None] = field(default_factory=list)
    prompt: Tensor | None = None
    attention: dict[str, Tensor] = field(default_factory=dict)
    logits: Tensor = field(default_factory=lambda: torch.empty(0))

    def before_adapter(self, block: int) -> Tensor:
        """The tokens that leave a block, less what its adapter added, [B,h,w,C]."""
        return self.leaving[block] - self.adapted[block]

    def relative_norm(self, block: int) -> Tensor:
        """Norm of a block's injection over the mean norm of the tokens it is added to, [B]; 0 without one."""
        injection = self.injections[block]
        if injection is None:
            return self.entering[block].new_zeros(len(self.entering[block]))
        tokens = self.entering[block] - injection[:, None, None, :]
        return injection.norm(dim=-1) / tokens.norm(dim=-1).mean(dim=(1, 2))


@torch.inference_mode()
def record(model: SAVE, images: Tensor, log_mel: Tensor) -> Recording:
    """Run frames through a model and keep what passes: images [B,3,S,S], patches [B,1,96,64]."""
    with _listening_in(model) as recording:
        recording.logits = model(images.to(model.device), log_mel.to(model.device)).float()
    return recording


def prompt_attention(model: SAVE, recording: Recording, layer: str) -> Tensor:
    """How the prompt tokens look at the image in a layer, over heads and tokens averaged, [B,h,w]."""
    own = 1 + model.sam.mask_decoder.mask_tokens.num_embeddings
    grid = model.sam.image_encoder.image_embedding_size
    return recording.attention[layer][:, :, own:].mean(dim=(1, 2)).unflatten(-1, (grid, grid))


@contextmanager
def _listening_in(model: SAVE) -> Iterator[Recording]:
    recording = Recording()
    encoder, decoder = model.sam.image_encoder, model.sam.mask_decoder.transformer
    hooks = [model.audio_adapter.register_forward_hook(partial(_keep_sound, recording))]
    for i, block in enumerate(encoder.blocks):
        hooks.append(block.register_forward_pre_hook(partial(_keep_input, recording.entering, i)))
        hooks.append(block.register_forward_hook(partial(_keep_output, recording.leaving, i)))
        adapter: Any = block.adapter
        if adapter is not None:
            hooks.append(adapter.register_forward_hook(partial(_keep_output, recording.adapted, i)))
    for name, layer in _reading_layers(decoder).items():
        hooks.append(layer.register_forward_pre_hook(partial(_keep_attention, recording.attention, name)))
    try:
        yield recording
    finally:
        for hook in hooks:
            hook.remove()


def _reading_layers(transformer: Any) -> dict[str, DownscalingAttention]:
    """The attentions in which tokens read the image, first to last."""
    layers = {f"layer {i + 1}": layer.cross_attn_token_to_image for i, layer in enumerate(transformer.layers)}
    return {**layers, "last look": transformer.final_attn_token_to_image}


def _keep_sound(recording: Recording, _: nn.Module, __: Any, output: Any) -> None:
    injections, recording.prompt = output
    recording.injections = list(injections)


def _keep_input(kept: dict[int, Tensor], i: int, _: nn.Module, inputs: tuple[Tensor, ...]) -> None:
    kept[i] = inputs[0]


def _keep_output(kept: dict[int, Tensor], i: int, _: nn.Module, __: Any, output: Tensor) -> None:
    kept[i] = output


def _keep_attention(kept: dict[str, Tensor], name: str, layer: Any, inputs: tuple[Tensor, ...]) -> None:
    """The layer's own softmax, computed once more of its inputs: the layer does not hand it out."""
    q, k = (
        proj(t).unflatten(-1, (layer.num_heads, -1)).transpose(1, 2)
        for proj, t in ((layer.q_proj, inputs[0]), (layer.k_proj, inputs[1]))
    )
    kept[name] = (q @ k.transpose(-1, -2) * q.shape[-1] ** -0.5).softmax(dim=-1)
