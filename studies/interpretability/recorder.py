"""Activations of a SAVE, recorded by forward hooks."""

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

FINAL_ATTENTION = "final attention"


@dataclass
class Recording:
    """One forward pass of B frames.

    Attributes:
        block_inputs: tokens that enter each block, injection added, [B,h,w,C].
        block_outputs: tokens that leave each block, [B,h,w,C].
        adapter_outputs: output of the image adapter of each block that has one, [B,h,w,C].
        injections: vector that the sound adds to every token before each block, [B,C] or None.
        prompt: prompt tokens of the decoder, [B,N,C], or None.
        attention: attention of the decoder's tokens to the image, by layer, [B,heads,tokens,h*w].
        logits: output of the model, [B,1,M,M].
    """

    block_inputs: dict[int, Tensor] = field(default_factory=dict)
    block_outputs: dict[int, Tensor] = field(default_factory=dict)
    adapter_outputs: dict[int, Tensor] = field(default_factory=dict)
    injections: list[Tensor | None] = field(default_factory=list)
    prompt: Tensor | None = None
    attention: dict[str, Tensor] = field(default_factory=dict)
    logits: Tensor = field(default_factory=lambda: torch.empty(0))

    def before_adapter(self, block: int) -> Tensor:
        """The output of a block less its adapter's, [B,h,w,C]."""
        return self.block_outputs[block] - self.adapter_outputs[block]

    def relative_norm(self, block: int) -> Tensor:
        """Norm of a block's injection over the mean norm of the tokens it is added to, [B]; 0 without one."""
        injection = self.injections[block]
        if injection is None:
            return self.block_inputs[block].new_zeros(len(self.block_inputs[block]))
        tokens = self.block_inputs[block] - injection[:, None, None, :]
        return injection.norm(dim=-1) / tokens.norm(dim=-1).mean(dim=(1, 2))


@torch.inference_mode()
def record(model: SAVE, images: Tensor, log_mel: Tensor) -> Recording:
    """Record a forward pass: images [B,3,S,S], log-mel [B,1,frames,bands]."""
    with _recording(model) as recording:
        recording.logits = model(images.to(model.device), log_mel.to(model.device)).float()
    return recording


def prompt_attention(model: SAVE, recording: Recording, layer: str) -> Tensor:
    """Attention of the prompt tokens to the image in a layer, averaged over heads and tokens, [B,h,w]."""
    first = 1 + model.sam.mask_decoder.mask_tokens.num_embeddings  # after SAM's own output tokens
    grid = model.sam.image_encoder.image_embedding_size
    return recording.attention[layer][:, :, first:].mean(dim=(1, 2)).unflatten(-1, (grid, grid))


@contextmanager
def _recording(model: SAVE) -> Iterator[Recording]:
    recording = Recording()
    encoder, decoder = model.sam.image_encoder, model.sam.mask_decoder.transformer
    hooks = [model.audio_adapter.register_forward_hook(partial(_keep_audio, recording))]
    for i, block in enumerate(encoder.blocks):
        hooks.append(block.register_forward_pre_hook(partial(_keep_input, recording.block_inputs, i)))
        hooks.append(block.register_forward_hook(partial(_keep_output, recording.block_outputs, i)))
        adapter: Any = block.adapter
        if adapter is not None:
            hooks.append(adapter.register_forward_hook(partial(_keep_output, recording.adapter_outputs, i)))
    for name, layer in _token_to_image_layers(decoder).items():
        hooks.append(layer.register_forward_pre_hook(partial(_keep_attention, recording.attention, name)))
    try:
        yield recording
    finally:
        for hook in hooks:
            hook.remove()


def _token_to_image_layers(transformer: Any) -> dict[str, DownscalingAttention]:
    layers = {f"layer {i + 1}": layer.cross_attn_token_to_image for i, layer in enumerate(transformer.layers)}
    return {**layers, FINAL_ATTENTION: transformer.final_attn_token_to_image}


def _keep_audio(recording: Recording, _: nn.Module, __: Any, output: Any) -> None:
    injections, recording.prompt = output
    recording.injections = list(injections)


def _keep_input(kept: dict[int, Tensor], i: int, _: nn.Module, inputs: tuple[Tensor, ...]) -> None:
    kept[i] = inputs[0]


def _keep_output(kept: dict[int, Tensor], i: int, _: nn.Module, __: Any, output: Tensor) -> None:
    kept[i] = output


def _keep_attention(kept: dict[str, Tensor], name: str, layer: Any, inputs: tuple[Tensor, ...]) -> None:
    """Compute the layer's softmax from its inputs, as the layer does not return it."""
    q, k = (
        proj(t).unflatten(-1, (layer.num_heads, -1)).transpose(1, 2)
        for proj, t in ((layer.q_proj, inputs[0]), (layer.k_proj, inputs[1]))
    )
    kept[name] = (q @ k.transpose(-1, -2) * q.shape[-1] ** -0.5).softmax(dim=-1)
