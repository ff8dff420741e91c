"""Packed layers compute what plain ones do, and refuse what they cannot."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from save_avs.models.sam import ImageEncoderViT
from save_avs.models.sam.packed_linear import PackedLinear, can_pack, pack_linear_layers

pytestmark = pytest.mark.skipif(not can_pack(), reason="this torch cannot pack weights")
BF16_STEP = 2**-8  # relative


def drawn_encoder() -> ImageEncoderViT:
    torch.manual_seed(0)
    encoder = ImageEncoderViT(
        image_size=96,
        embed_dim=32,
        depth=3,
        num_heads=2,
        window_size=4,
        global_attn_indexes=(1,),
        out_chans=16,
    )
    for parameter in encoder.parameters():
        nn.init.normal_(parameter, std=0.2)
    return encoder.eval()


@pytest.mark.parametrize("rows", [1, 7, 300])
def test_a_packed_layer_is_the_layer_and_its_activation(rows: int) -> None:
    torch.manual_seed(0)
    linear, x = nn.Linear(48, 80), torch.randn(2, rows, 48)
    with torch.inference_mode():
        plain = linear(x)
        torch.testing.assert_close(PackedLinear(linear)(x), plain, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(PackedLinear(linear, "gelu")(x), F.gelu(plain), atol=1e-5, rtol=1e-5)


def test_packed_blocks_give_the_same_embedding() -> None:
    encoder, x = drawn_encoder(), torch.randn(2, 3, 96, 96)
    packed = copy.deepcopy(encoder)
    pack_linear_layers(packed.blocks)
    with torch.inference_mode():
        torch.testing.assert_close(packed(x), encoder(x), atol=2e-5, rtol=1e-4)


def test_packed_blocks_stay_near_float32_in_bfloat16() -> None:
    encoder, x = drawn_encoder(), torch.randn(2, 3, 96, 96)
    packed = copy.deepcopy(encoder).bfloat16()
    pack_linear_layers(packed.blocks)
    with torch.inference_mode():
        exact = encoder(x)
        assert (packed(x.bfloat16()).float() - exact).norm() < 8 * BF16_STEP * exact.norm()


def test_no_gradient_is_promised_and_none_is_lost_in_silence() -> None:
    layer = PackedLinear(nn.Linear(4, 4))
    with pytest.raises(ValueError, match="precision='fp32'"):
        layer(torch.ones(1, 4, requires_grad=True))
