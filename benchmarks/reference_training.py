"""Reference training step of a SAM with image and audio adapters: the baseline of `training.py`.

It has what the public trainers have in common, reimplemented on the weights of a SAVE, so both compute the
same loss: windows padded to full size, position terms added to the attention logits, torch's convolutions,
the audio backbone run at every step, the mask decoder run frame by frame, and float32 throughout. The encoder
takes all frames of a step at once, which is faster than the loop that some trainers have.
"""

from __future__ import annotations

from typing import cast

import torch
from reference_models import PaddedAttention
from torch import Tensor
from torch.nn import functional as F

from save_avs.losses import save_loss
from save_avs.models import SAVE
from save_avs.models.adapters.image_adapter import ImageAdapter
from save_avs.models.sam import Block
from save_avs.types import AVBatch


def reference_loss(model: SAVE, batch: AVBatch) -> Tensor:
    """Return the loss of a step, decoded frame by frame; the image adapters need spatial branch ``full``."""
    encoder, prompts = model.sam.image_encoder, model.sam.prompt_encoder
    injections, prompt = model.audio_adapter(model.audio_backbone(batch.log_mel))
    x = encoder.patch_embed(model.sam.preprocess(batch.images)) + encoder.pos_embed
    for block, injection in zip(encoder.blocks, injections, strict=True):
        x = forward_block(cast(Block, block), x + injection[:, None, None, :])
    embeddings = encoder.neck(x.permute(0, 3, 1, 2))
    losses = []
    for i in range(len(batch.images)):
        frame = slice(i, i + 1)
        dense = prompts.no_mask_dense(1)
        masks, _ = model.sam.mask_decoder(
            embeddings[frame], prompts.get_dense_pe(), prompt[frame], dense, False
        )
        losses.append(save_loss(masks, batch.masks[frame], batch.has_mask[frame]).total)
    return torch.stack(losses).mean()


def forward_block(block: Block, x: Tensor) -> Tensor:
    """[B,H,W,C] -> [B,H,W,C]."""
    attend = PaddedAttention(block.attn, windowed=block.attn.window_size != x.shape[1])
    x = x + attend(block.norm1(x))
    y = block.norm2(x)
    return x + block.mlp(y) + forward_adapter(cast(ImageAdapter, block.adapter), y)


def forward_adapter(adapter: ImageAdapter, x: Tensor) -> Tensor:
    """Run an image adapter with torch's convolutions, [B,H,W,C] -> [B,H,W,C]."""
    down, up = (adapter.get_parameter(f"spatial.{i}.weight") for i in (0, 2))
    y = x * adapter.up(adapter.down(x.mean(dim=(1, 2), keepdim=True)).relu()).sigmoid()
    s = F.conv2d(y.permute(0, 3, 1, 2), down, stride=2, padding=1).relu()
    s = F.conv_transpose2d(s, up, stride=2, padding=1).relu().permute(0, 2, 3, 1)
    return adapter.gate * adapter.norm(x + s[:, : x.shape[1], : x.shape[2]])
