"""The full-size models by name: a SAM of each size with the paper's settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from save_avs.errors import UsageError
from save_avs.models.sam.presets import PRESETS as SAM_PRESETS

_SAM_SIZES = (
    "embed_dim",
    "depth",
    "num_heads",
    "mlp_ratio",
    "window_size",
    "global_attn_indexes",
    "prompt_embed_dim",
    "decoder_mlp_dim",
)


def _preset(name: str, sam: str) -> dict[str, Any]:
    return {
        "name": name,
        "image_size": 256,  # the paper; it also reports 1024
        "resize": "squash",  # the benchmark's loaders
        "audio": "vggish",  # the paper
        "sam": {size: getattr(SAM_PRESETS[sam], size) for size in _SAM_SIZES},
        "image_adapter": {"ratio": 0.25, "spatial": "full"},  # the paper; the branch from SAM-Med2D
        "audio_adapter": {  # a residual chain into every block: the paper; widths: SAMA-AVS
            "hidden": 512,
            "tokens": 1,
            "residual": True,
            "shared": True,
            "inject_into": "all",
        },
    }


PRESETS: dict[str, dict[str, Any]] = {
    name: _preset(name, sam)
    for name, sam in (("save-vit-b", "vit_b"), ("save-vit-l", "vit_l"), ("save-vit-h", "vit_h"))
}


def expand_preset(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values of a model's config, those of the preset it names filled in where it says nothing.

    ``{"preset": "save-vit-b", "image_adapter": {"spatial": "depthwise"}}`` is ViT-B with the ratio of the
    preset and another branch; ``"image_adapter": None`` leaves the adapters out.

    Raises:
        UsageError: when no preset has that name.
    """
    given = dict(values)
    if (name := given.pop("preset", None)) is None:
        return given
    if name not in PRESETS:
        raise UsageError(f"no preset is called '{name}': choose one of {', '.join(PRESETS)}")
    return _merged(PRESETS[name], given)


def _merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    out = dict(below)
    for key, value in above.items():
        former = out.get(key)
        if isinstance(former, Mapping) and isinstance(value, Mapping):
            out[key] = _merged(former, value)
        else:
            out[key] = value
    return out
