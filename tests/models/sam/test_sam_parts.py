"""How SAM's parts behave: pairing, blocks' hooks, precisions, gradients, export."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from save_avs.models.sam import ImageEncoderViT, Sam, SamConfig, build_sam
from save_avs.models.sam.sam import PIXEL_MEAN, PIXEL_STD

# A grid of 6 x 6 cells that the window does not divide.
CONFIG = SamConfig(
    embed_dim=32,
    depth=3,
    num_heads=2,
    window_size=4,
    global_attn_indexes=(1,),
    prompt_embed_dim=32,
    decoder_mlp_dim=48,
    iou_head_hidden_dim=24,
)


@pytest.fixture
def sam() -> Sam:
    torch.manual_seed(0)
    sam = build_sam(CONFIG, image_size=96).eval()
    for name, parameter in sam.named_parameters():
        if "rel_pos" in name:
            nn.init.normal_(parameter, std=0.5)
        if name.endswith("weight") and parameter.ndim == 2 and "embed" not in name:
            nn.init.normal_(parameter, std=parameter.shape[1] ** -0.5)
    return sam


@pytest.fixture
def images() -> torch.Tensor:
    return torch.randn(3, 3, 96, 96, generator=torch.Generator().manual_seed(2))


@pytest.fixture
def points() -> tuple[torch.Tensor, torch.Tensor]:
    xy = 96 * torch.rand(3, 2, 2, generator=torch.Generator().manual_seed(3))
    return xy, torch.tensor([[1, 0], [1, 1], [1, -1]])


@torch.no_grad()
def test_batch_pairs_each_image_with_its_prompt(sam: Sam, images, points) -> None:
    masks, quality = sam(images, points)
    assert masks.shape == (3, 1, 24, 24)
    assert quality.shape == (3, 1)
    for i in range(3):
        one, its_quality = sam(images[i : i + 1], (points[0][i : i + 1], points[1][i : i + 1]))
        torch.testing.assert_close(one[0], masks[i], atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(its_quality[0], quality[i], atol=1e-5, rtol=1e-4)
    swapped, _ = sam(images, (points[0].flip(0), points[1].flip(0)))
    assert (swapped[0] - masks[0]).abs().max() > 1e-2


@torch.no_grad()
def test_multimask_outputs_differ_from_the_single_mask(sam: Sam, images, points) -> None:
    three, quality = sam(images, points, multimask_output=True)
    single, _ = sam(images, points)
    assert three.shape == (3, 3, 24, 24)
    assert quality.shape == (3, 3)
    assert all((three[:, i] - single[:, 0]).abs().max() > 1e-3 for i in range(3))


@torch.no_grad()
def test_single_mask_runs_one_hypernetwork(sam: Sam, images, points) -> None:
    called: list[int] = []
    for i, head in enumerate(sam.mask_decoder.output_hypernetworks_mlps):
        head.register_forward_hook(lambda *_, i=i: called.append(i))
    sam(images, points)
    assert called == [0]


@torch.no_grad()
def test_no_prompt_gives_empty_sparse_tokens(sam: Sam, images) -> None:
    sparse, dense = sam.prompt_encoder()
    assert sparse.shape == (1, 0, 32)
    assert dense.shape == (1, 32, 6, 6)
    masks, _ = sam(images)
    assert masks.shape == (3, 1, 24, 24)


@torch.no_grad()
def test_mask_prompt_sets_the_batch_size(sam: Sam) -> None:
    sparse, dense = sam.prompt_encoder(masks=torch.randn(3, 1, 24, 24))
    assert sparse.shape == (3, 0, 32)
    assert dense.shape == (3, 32, 6, 6)


@torch.no_grad()
def test_adapter_output_is_added_to_the_block(sam: Sam) -> None:
    block = sam.image_encoder.blocks[0]
    x = torch.randn(2, 6, 6, 32)
    plain = block(x)
    block.adapter = nn.Linear(32, 32)
    added = block.adapter(block.norm2(x + block.attn(block.norm1(x))))
    torch.testing.assert_close(block(x), plain + added)
    assert "image_encoder.blocks.0.adapter.weight" in sam.state_dict()


@torch.no_grad()
def test_injection_is_added_to_every_token_before_its_block(sam: Sam, images) -> None:
    encoder = sam.image_encoder
    shift = torch.randn(3, 32)
    seen: list[torch.Tensor] = []
    encoder.blocks[1].register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    plain = encoder(images)
    moved = encoder(images, [None, shift, None])
    torch.testing.assert_close(seen[1], seen[0] + shift[:, None, None, :])
    assert (moved - plain).abs().max() > 1e-3
    torch.testing.assert_close(encoder(images, [None] * 3), plain)
    with pytest.raises(ValueError, match="2 injections for 3 blocks"):
        encoder(images, [None, shift])


def test_every_parameter_gets_a_gradient(sam: Sam, images, points) -> None:
    masks, quality = sam(images, points, boxes=torch.rand(3, 4) * 96, masks=torch.randn(3, 1, 24, 24))
    several, _ = sam(images, points, multimask_output=True)
    (masks.square().sum() + quality.sum() + several.square().sum()).backward()
    still = [name for name, p in sam.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert still == []


@torch.no_grad()
def test_bfloat16_is_close_to_float32(sam: Sam, images, points) -> None:
    exact = sam(images, points)[0]
    with torch.autocast("cpu", torch.bfloat16):
        mixed = sam(images, points)[0]
    half = copy.deepcopy(sam).bfloat16()(images.bfloat16(), points)[0]
    assert half.dtype == torch.bfloat16
    for rounded in (mixed, half):
        assert (rounded.float() - exact).norm() < 0.05 * exact.norm()


@pytest.mark.parametrize("whole", [False, True], ids=["autocast", "cast"])
def test_training_in_bfloat16_yields_gradients(sam: Sam, images, points, whole: bool) -> None:
    sam = sam.bfloat16() if whole else sam
    with torch.autocast("cpu", torch.bfloat16, enabled=not whole):
        masks, _ = sam(images.bfloat16() if whole else images, points)
    masks.float().square().mean().backward()
    grad = sam.image_encoder.pos_embed.grad
    assert grad is not None
    assert grad.isfinite().all()
    assert grad.abs().sum() > 0


@torch.no_grad()
def test_dense_positions_are_float32_under_autocast(sam: Sam) -> None:
    exact = sam.prompt_encoder.get_dense_pe()
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(sam.prompt_encoder.get_dense_pe(), exact)


@pytest.mark.slow
@torch.no_grad()
def test_encoder_exports_with_a_dynamic_batch(sam: Sam, images) -> None:
    encoder = sam.image_encoder
    batch = torch.export.Dim("batch", min=1, max=64)
    program = torch.export.export(encoder, (images[:2],), dynamic_shapes=({0: batch},))
    torch.testing.assert_close(program.module()(images), encoder(images), atol=1e-5, rtol=1e-4)


def test_preprocess_normalizes_pixels_from_0_to_255(sam: Sam) -> None:
    pixels = torch.tensor(PIXEL_MEAN).view(1, 3, 1, 1).expand(1, 3, 2, 2)
    torch.testing.assert_close(sam.preprocess(pixels), torch.zeros(1, 3, 2, 2))
    white = sam.preprocess(torch.full((1, 3, 2, 2), 255, dtype=torch.uint8))
    assert white[0, 0, 0, 0].item() == pytest.approx((255 - PIXEL_MEAN[0]) / PIXEL_STD[0], rel=1e-5)
    assert sam.bfloat16().preprocess(pixels).dtype == torch.bfloat16


def test_preprocess_normalizes_each_channel_by_its_own_mean_and_deviation(sam: Sam) -> None:
    pixels = torch.tensor([[10, 200], [90, 250]], dtype=torch.uint8).repeat(1, 3, 1, 1)
    pixels[:, 1], pixels[:, 2] = pixels[:, 0] // 2, 255 - pixels[:, 0]  # no two channels alike
    red, green, blue = pixels[0].double()
    expected = [(red - 123.675) / 58.395, (green - 116.28) / 57.12, (blue - 103.53) / 57.375]
    torch.testing.assert_close(
        sam.preprocess(pixels)[0].double(), torch.stack(expected), rtol=1e-6, atol=1e-6
    )


def test_initial_weights_are_small_normals() -> None:
    encoder = ImageEncoderViT(image_size=64, embed_dim=64, depth=1, num_heads=2, global_attn_indexes=(0,))
    weight = encoder.get_parameter("blocks.0.mlp.lin1.weight")
    assert weight.std().item() == pytest.approx(0.02, rel=0.1)
    assert encoder.pos_embed.std().item() == pytest.approx(0.02, rel=0.1)
    assert encoder.get_parameter("blocks.0.attn.qkv.bias").abs().max() == 0


def test_invalid_sizes_are_rejected(sam: Sam) -> None:
    with pytest.raises(ValueError, match="96 x 96 pixels"):
        sam.image_encoder(torch.zeros(1, 3, 64, 64))
    with pytest.raises(ValueError, match="multiple"):
        ImageEncoderViT(image_size=100)
    with pytest.raises(ValueError, match="global_attn_indexes"):
        ImageEncoderViT(image_size=64, depth=2, global_attn_indexes=(2,))
    with pytest.raises(ValueError, match="vit_b, vit_l, vit_h"):
        build_sam("vit_x")
