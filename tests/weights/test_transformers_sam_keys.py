"""Foreign names become official ones; what no rule knows keeps its name."""

from __future__ import annotations

import torch

from save_avs.weights.transformers_sam_keys import is_transformers_sam, remap_transformers_sam

NAMES = {
    "shared_image_embedding.positional_embedding": (
        "prompt_encoder.pe_layer.positional_encoding_gaussian_matrix"
    ),
    "vision_encoder.layers.3.layer_norm1.bias": "image_encoder.blocks.3.norm1.bias",
    "vision_encoder.neck.layer_norm2.weight": "image_encoder.neck.3.weight",
    "prompt_encoder.mask_embed.layer_norm1.bias": "prompt_encoder.mask_downscaling.1.bias",
    "mask_decoder.transformer.layers.0.layer_norm4.bias": "mask_decoder.transformer.layers.0.norm4.bias",
    "mask_decoder.upscale_layer_norm.bias": "mask_decoder.output_upscaling.1.bias",
    "mask_decoder.iou_prediction_head.proj_in.bias": "mask_decoder.iou_prediction_head.layers.0.bias",
    "mask_decoder.iou_prediction_head.layers.0.bias": "mask_decoder.iou_prediction_head.layers.1.bias",
    "mask_decoder.iou_prediction_head.layers.1.bias": "mask_decoder.iou_prediction_head.layers.2.bias",
    "mask_decoder.iou_prediction_head.proj_out.bias": "mask_decoder.iou_prediction_head.layers.3.bias",
    "mask_decoder.output_hypernetworks_mlps.1.proj_in.weight": (
        "mask_decoder.output_hypernetworks_mlps.1.layers.0.weight"
    ),
    "mask_decoder.output_hypernetworks_mlps.1.proj_out.weight": (
        "mask_decoder.output_hypernetworks_mlps.1.layers.1.weight"
    ),
    "something.else": "something.else",
}


def test_keys_are_renamed() -> None:
    state = {name: torch.tensor(float(i)) for i, name in enumerate(NAMES)}
    renamed = remap_transformers_sam(state)
    assert list(renamed) == list(NAMES.values())
    assert [tensor.item() for tensor in renamed.values()] == list(range(len(NAMES)))


def test_position_matrix_stored_twice_comes_out_once() -> None:
    one = torch.ones(2, 4)
    keys = (
        "shared_image_embedding.positional_embedding",
        "prompt_encoder.shared_embedding.positional_embedding",
    )
    assert len(remap_transformers_sam(dict.fromkeys(keys, one))) == 1


def test_only_keys_of_transformers_are_recognized() -> None:
    assert is_transformers_sam({"vision_encoder.pos_embed": torch.ones(1)})
    assert not is_transformers_sam({"image_encoder.pos_embed": torch.ones(1)})
