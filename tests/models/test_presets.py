"""The full-size models by name, at any size, with anything in place of the preset's."""

from __future__ import annotations

import pytest
import torch
from pydantic import ValidationError

from save_avs.errors import UsageError
from save_avs.models import PRESETS, SaveConfig, build_save
from save_avs.models.sam import PRESETS as SAM_PRESETS


@pytest.mark.parametrize(
    ("name", "sam"), [("save-vit-b", "vit_b"), ("save-vit-l", "vit_l"), ("save-vit-h", "vit_h")]
)
@pytest.mark.parametrize("size", [256, 512, 1024])
def test_preset_is_a_sam_with_the_papers_settings(name, sam, size):
    config = SaveConfig.from_preset(name, image_size=size)
    assert config.sam == SAM_PRESETS[sam] and config.image_size == size
    plain = SaveConfig(name=name, image_size=size, sam=config.sam)  # the config's defaults are the paper's
    assert config == plain


def test_preset_defaults_to_256_px():
    assert SaveConfig.from_preset("save-vit-b").image_size == 256


def test_nested_values_can_be_changed_in_part():
    config = SaveConfig.from_preset(
        "save-vit-l", image_adapter={"spatial": "depthwise"}, audio_adapter={"tokens": 4}
    )
    assert config.image_adapter is not None
    assert (config.image_adapter.ratio, config.image_adapter.spatial) == (0.25, "depthwise")
    assert (config.audio_adapter.tokens, config.audio_adapter.hidden) == (4, 512)
    assert config.sam.depth == 24
    assert SaveConfig.from_preset("save-vit-b", image_adapter=None).image_adapter is None
    assert PRESETS["save-vit-l"]["image_adapter"]["spatial"] == "full"  # the table itself stays


def test_mapping_with_a_preset_key():
    config = SaveConfig.model_validate({"preset": "save-vit-h", "name": "mine", "image_size": 512})
    assert (config.name, config.sam.depth, config.image_size) == ("mine", 32, 512)
    assert SaveConfig.model_validate_json(config.model_dump_json()) == config


def test_unknown_names_and_keys_are_rejected():
    with pytest.raises(UsageError, match="unknown preset 'save-vit-g': choose one of save-vit-b"):
        SaveConfig.from_preset("save-vit-g")
    with pytest.raises(ValidationError, match="image_sise"):
        SaveConfig.from_preset("save-vit-b", image_sise=64)


def test_full_branch_has_177_million_parameters():
    with torch.device("meta"):
        model = build_save(SaveConfig.from_preset("save-vit-b"))
    spatial = sum(p.numel() for n, p in model.named_parameters() if ".adapter.spatial." in n)
    assert spatial == 12 * 25 * 768**2 == 176_947_200
