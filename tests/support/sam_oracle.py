"""transformers' SamModel with weights that make its output depend on everything in it."""

from __future__ import annotations

import torch
from transformers import SamConfig as HFSamConfig
from transformers import SamModel

from save_avs.models.sam import Sam, SamConfig, build_sam
from save_avs.weights.transformers_sam_keys import remap_transformers_sam


def make_oracle(config: SamConfig, image_size: int, seed: int = 0) -> SamModel:
    """A SamModel of those sizes whose biases, norms and positions are drawn too."""
    torch.manual_seed(seed)
    theirs = HFSamConfig(
        vision_config={
            "hidden_size": config.embed_dim,
            "output_channels": config.prompt_embed_dim,
            "num_hidden_layers": config.depth,
            "num_attention_heads": config.num_heads,
            "image_size": image_size,
            "patch_size": config.patch_size,
            "mlp_dim": int(config.embed_dim * config.mlp_ratio),
            "mlp_ratio": config.mlp_ratio,
            "window_size": config.window_size,
            "global_attn_indexes": list(config.global_attn_indexes),
            "num_pos_feats": config.prompt_embed_dim // 2,
            "initializer_range": 0.02,
        },
        prompt_encoder_config={
            "hidden_size": config.prompt_embed_dim,
            "image_size": image_size,
            "patch_size": config.patch_size,
            "mask_input_channels": config.mask_in_chans,
        },
        mask_decoder_config={
            "hidden_size": config.prompt_embed_dim,
            "mlp_dim": config.decoder_mlp_dim,
            "num_hidden_layers": config.decoder_depth,
            "num_attention_heads": config.decoder_num_heads,
            "num_multimask_outputs": config.num_multimask_outputs,
            "iou_head_depth": config.iou_head_depth,
            "iou_head_hidden_dim": config.iou_head_hidden_dim,
        },
    )
    oracle = SamModel(theirs).eval()
    _draw(oracle)
    for module in oracle.mask_decoder.transformer.modules():
        if isinstance(module, torch.nn.LayerNorm):
            module.eps = 1e-5  # as published; transformers has 1e-6 here
    return oracle


@torch.no_grad()
def _draw(oracle: SamModel) -> None:
    """Draw every weight so that signals keep their size on the way; nothing is compared where they vanish."""
    for name, parameter in oracle.named_parameters():
        noise = torch.randn_like(parameter)
        if "rel_pos" in name or "pos_embed" in name:
            parameter.copy_(0.2 * noise)
        elif parameter.ndim == 1:
            parameter.copy_(0.1 * noise + (1.0 if name.endswith("weight") else 0.0))  # norms' scales; biases
        elif parameter.shape[0] <= 4:  # learned tokens
            parameter.copy_(noise)
        else:
            inputs = len(parameter) if "upscale_conv" in name else parameter[0].numel()
            parameter.copy_(noise * inputs**-0.5)


def with_weights_of(oracle: SamModel, config: SamConfig, image_size: int) -> Sam:
    """Our SAM with the oracle's weights."""
    sam = build_sam(config, image_size=image_size).eval()
    sam.load_state_dict(remap_transformers_sam(oracle.state_dict()))
    return sam
