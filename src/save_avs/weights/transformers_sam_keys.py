"""Renaming of foreign parameter keys to the official ones: pure functions from state dict to state dict."""

import re
from collections.abc import Mapping

from torch import Tensor

_GAUSSIAN = "prompt_encoder.pe_layer.positional_encoding_gaussian_matrix"

# In the order of application; each pattern is searched anywhere in the key.
_SAM_RULES: tuple[tuple[str, str], ...] = (
    (r"^shared_image_embedding\.positional_embedding$", _GAUSSIAN),
    (r"^prompt_encoder\.shared_embedding\.positional_embedding$", _GAUSSIAN),
    (r"^vision_encoder\.patch_embed\.projection\.", "image_encoder.patch_embed.proj."),
    (r"^vision_encoder\.neck\.conv1\.", "image_encoder.neck.0."),
    (r"^vision_encoder\.neck\.layer_norm1\.", "image_encoder.neck.1."),
    (r"^vision_encoder\.neck\.conv2\.", "image_encoder.neck.2."),
    (r"^vision_encoder\.neck\.layer_norm2\.", "image_encoder.neck.3."),
    (r"^vision_encoder\.layers\.", "image_encoder.blocks."),
    (r"^vision_encoder\.", "image_encoder."),
    (r"^prompt_encoder\.point_embed\.", "prompt_encoder.point_embeddings."),
    (r"^prompt_encoder\.mask_embed\.conv1\.", "prompt_encoder.mask_downscaling.0."),
    (r"^prompt_encoder\.mask_embed\.layer_norm1\.", "prompt_encoder.mask_downscaling.1."),
    (r"^prompt_encoder\.mask_embed\.conv2\.", "prompt_encoder.mask_downscaling.3."),
    (r"^prompt_encoder\.mask_embed\.layer_norm2\.", "prompt_encoder.mask_downscaling.4."),
    (r"^prompt_encoder\.mask_embed\.conv3\.", "prompt_encoder.mask_downscaling.6."),
    (r"^mask_decoder\.upscale_conv1\.", "mask_decoder.output_upscaling.0."),
    (r"^mask_decoder\.upscale_layer_norm\.", "mask_decoder.output_upscaling.1."),
    (r"^mask_decoder\.upscale_conv2\.", "mask_decoder.output_upscaling.3."),
    (r"\.layer_norm_final_attn\.", ".norm_final_attn."),
    (r"\.layer_norm(\d)\.", r".norm\1."),
)
_FEED_FORWARD = re.compile(
    r"^(mask_decoder\.(?:iou_prediction_head|output_hypernetworks_mlps\.\d+)\.)"
    r"(?:(proj_in)|layers\.(\d+)|(proj_out))\.(weight|bias)$"
)


def is_transformers_sam(state: Mapping[str, Tensor]) -> bool:
    """Return whether the keys are those of transformers' ``SamModel``."""
    return any(key.startswith("vision_encoder.") for key in state)


def remap_transformers_sam(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename keys of transformers' ``SamModel`` to those of Meta's checkpoints; tensors are not touched.

    The position matrix, which transformers stores twice, comes out once. A key that no rule matches keeps its
    name, so that strict loading reports it.
    """
    num_hidden: dict[str, int] = {}  # hidden layers of each feed-forward head
    for key in state:
        match = _FEED_FORWARD.match(key)
        if match and match[3]:
            num_hidden[match[1]] = max(num_hidden.get(match[1], 0), int(match[3]) + 1)

    def rename(key: str) -> str:
        if match := _FEED_FORWARD.match(key):
            head, first, hidden, _, kind = match.groups()
            layer = 0 if first else int(hidden) + 1 if hidden else num_hidden.get(head, 0) + 1
            return f"{head}layers.{layer}.{kind}"
        for pattern, rewrite in _SAM_RULES:
            key = re.sub(pattern, rewrite, key)
        return key

    return {rename(key): tensor for key, tensor in state.items()}
