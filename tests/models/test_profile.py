"""Counts agree with what is built, and operations with formulas written here."""

from __future__ import annotations

import pytest

from save_avs.models import SaveConfig
from save_avs.models.freeze import freeze_except
from save_avs.models.profile import PARTS, profile_model
from tests.support.tiny_model import SAM, tiny_config, tiny_model

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("spatial", ["full", "depthwise", "bottleneck", "none"])
def test_counts_are_those_of_the_model(spatial):
    config = tiny_config(image_adapter={"spatial": spatial})
    model, found = tiny_model(image_adapter={"spatial": spatial}), profile_model(config)
    assert tuple(found.parts) == PARTS == tuple(found.flops)
    assert found.total == sum(p.numel() for p in model.parameters())
    names = set(freeze_except(model, ["adapter", "audio_adapter", "mask_decoder"]))
    assert found.trained == sum(p.numel() for n, p in model.named_parameters() if n in names)
    assert found.frozen == found.total - found.trained
    adapters = [block.adapter for block in model.sam.image_encoder.blocks]
    assert found.parts["image adapters"] == sum(p.numel() for a in adapters for p in a.parameters())
    assert found.parts["mask decoder"] == sum(p.numel() for p in model.sam.mask_decoder.parameters())


def test_without_image_adapters():
    found = profile_model(tiny_config(image_adapter=None))
    assert found.parts["image adapters"] == found.flops["image adapters"] == 0


@pytest.mark.parametrize("spatial", ["full", "depthwise", "bottleneck", "none"])
def test_operations_of_the_image_adapters(spatial):
    dim, hidden, cells = SAM["embed_dim"], 8, 16
    half = cells // 4
    branch = {  # multiplications: 9 of the strided and 16 of the transposed convolution, on half the grid
        "full": 25 * dim * dim * half,
        "depthwise": 25 * dim * half,
        "bottleneck": 25 * hidden * hidden * half + 2 * dim * hidden * cells,
        "none": 0,
    }[spatial]
    found = profile_model(tiny_config(image_adapter={"spatial": spatial}))
    assert found.flops["image adapters"] == SAM["depth"] * 2 * (2 * dim * hidden + branch)


def test_operations_of_the_other_parts():
    found = profile_model(tiny_config(stem="efficientnet-lite0"))
    blocks, hidden, dim = SAM["depth"], 24, SAM["embed_dim"]
    chain = 128 * hidden + blocks * hidden * hidden + blocks * hidden * dim + hidden * SAM["prompt_embed_dim"]
    assert found.flops["audio adapter"] == 2 * chain
    more = profile_model(tiny_config(image_size=128, stem="efficientnet-lite0")).flops
    assert more["image stem"] == 4 * found.flops["image stem"]
    assert more["audio backbone"] == found.flops["audio backbone"] > 0
    assert more["SAM encoder"] > 4 * found.flops["SAM encoder"]  # four times the tokens, and global attention
    assert all(found.flops[part] > 0 for part in PARTS if part != "prompt encoder")


@pytest.mark.parametrize(
    ("name", "millions"), [("save-vit-b", 180.5), ("save-vit-l", 641.8), ("save-vit-h", 1337.1)]
)
def test_the_full_branch_is_larger_than_the_encoder(name, millions):
    parts = profile_model(SaveConfig.from_preset(name)).parts
    assert parts["image adapters"] / 1e6 == pytest.approx(millions, abs=0.1)
    assert parts["image adapters"] > 2 * parts["SAM encoder"]


def test_the_lighter_branches_are_light():
    def adapters(spatial: str) -> int:
        return profile_model(SaveConfig.from_preset("save-vit-b", image_adapter={"spatial": spatial})).parts[
            "image adapters"
        ]

    assert adapters("depthwise") < 4e6 and adapters("none") < 4e6 and adapters("bottleneck") < 20e6
