"""Parity with transformers' SamModel, with the same weights."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from save_avs.models.sam import PRESETS, Sam, SamConfig, attention, cpu_kernels
from tests.support.sam_oracle import make_oracle, with_weights_of

TOLERANCE = 1e-4


def tiny(window_size: int) -> SamConfig:
    """Two windowed and two global blocks."""
    return SamConfig(
        embed_dim=64,
        depth=4,
        num_heads=4,
        window_size=window_size,
        global_attn_indexes=(1, 3),
        prompt_embed_dim=64,
        decoder_mlp_dim=96,
    )


def prompts(size: int, batch: int) -> dict[str, Tensor]:
    """Points with their labels, boxes and masks for a batch of images."""
    torch.manual_seed(1)
    return {
        "xy": torch.rand(batch, 3, 2) * size,
        "labels": torch.tensor([[1, 0, -1], [1, 1, 0]])[:batch],
        "boxes": torch.rand(batch, 4) * size,
        "masks": torch.randn(batch, 1, size // 4, size // 4),
    }


def both(oracle, sam: Sam, image: Tensor, given: dict[str, Tensor], kinds: set[str], multimask: bool):
    """Logits and quality from the oracle and from ours, with the kinds of prompt asked for."""
    points = {"input_points": given["xy"][:, None], "input_labels": given["labels"][:, None]}
    asked = oracle(
        image_embeddings=image,
        multimask_output=multimask,
        **(points if "points" in kinds else {}),
        **({"input_boxes": given["boxes"][:, None]} if "boxes" in kinds else {}),
        **({"input_masks": given["masks"]} if "masks" in kinds else {}),
    )
    sparse, dense = sam.prompt_encoder(
        points=(given["xy"], given["labels"]) if "points" in kinds else None,
        boxes=given["boxes"] if "boxes" in kinds else None,
        masks=given["masks"] if "masks" in kinds else None,
    )
    masks, quality = sam.mask_decoder(image, sam.prompt_encoder.get_dense_pe(), sparse, dense, multimask)
    return (asked.pred_masks[:, 0], asked.iou_scores[:, 0]), (masks, quality)


def gap(a: Tensor, b: Tensor) -> float:
    """Largest difference."""
    assert a.shape == b.shape
    return float((a - b).abs().max())


@pytest.fixture(params=["onednn", "fused", "plain"])
def kernel(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The attention of a CPU, of a GPU, and of a CPU without oneDNN or where it trains."""
    if request.param == "onednn" and not cpu_kernels.has_onednn():
        pytest.skip("this torch lacks oneDNN's operators")
    monkeypatch.setattr(cpu_kernels, "ENABLED", request.param == "onednn")
    monkeypatch.setattr(cpu_kernels, "use_fused_attention", lambda *_: request.param == "fused")
    return request.param


# 16 cells: windows of 8 divide it, of 7 and 14 do not; 8 cells are less than one window of 14.
@pytest.mark.parametrize(("size", "window_size"), [(256, 8), (256, 7), (256, 14), (128, 14)])
@pytest.mark.usefixtures("kernel")
@torch.no_grad()
def test_image_embeddings_match_transformers(size: int, window_size: int) -> None:
    config = tiny(window_size)
    oracle = make_oracle(config, size)
    images = torch.randn(2, 3, size, size)
    expected = oracle.get_image_embeddings(images)
    assert gap(expected[0], expected[1]) > 1  # the embedding depends on the image
    assert gap(with_weights_of(oracle, config, size).image_encoder(images), expected) < TOLERANCE


@torch.no_grad()
def test_attention_in_parts_matches_transformers(kernel: str, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tiny(7)
    oracle = make_oracle(config, 256)
    images = torch.randn(1, 3, 256, 256)
    monkeypatch.setattr(attention, "MAX_LOGITS", 100_000)
    monkeypatch.setattr(cpu_kernels, "CHUNK_LOGITS", 3 * 16 * 16 * 16)  # three rows of 16 at a time
    assert (
        gap(with_weights_of(oracle, config, 256).image_encoder(images), oracle.get_image_embeddings(images))
        < TOLERANCE
    )


@pytest.mark.parametrize("removed", ["windowed block", "global block", "relative position", "padded keys"])
@torch.no_grad()
def test_parity_fails_when_a_part_is_removed(removed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tiny(14)
    oracle = make_oracle(config, 256)
    encoder = with_weights_of(oracle, config, 256).image_encoder
    if removed == "windowed block":
        encoder.blocks[2] = torch.nn.Identity()
    elif removed == "global block":
        encoder.blocks[3] = torch.nn.Identity()
    elif removed == "relative position":
        encoder.get_parameter("blocks.0.attn.rel_pos_w").zero_()
    else:
        nothing = torch.tensor(-1e4)
        monkeypatch.setattr(attention, "padded_keys_logsumexp", lambda h, w: nothing.expand(h.shape[:-1]))
    images = torch.randn(1, 3, 256, 256)
    assert gap(encoder(images), oracle.get_image_embeddings(images)) > 100 * TOLERANCE


@pytest.mark.parametrize("multimask", [False, True])
@pytest.mark.parametrize(
    "kinds", [{"points"}, {"boxes"}, {"points", "boxes"}, {"points", "masks"}], ids=sorted
)
@torch.no_grad()
def test_mask_logits_match_transformers(kinds: set[str], multimask: bool) -> None:
    config = tiny(14)
    oracle = make_oracle(config, 128)
    image = torch.randn(2, 64, 8, 8)
    expected, ours = both(
        oracle, with_weights_of(oracle, config, 128), image, prompts(128, 2), kinds, multimask
    )
    assert expected[0].std() > 0.1
    assert gap(expected[0][0], expected[0][1]) > 0.1  # the logits depend on image and prompt
    assert gap(ours[0], expected[0]) < TOLERANCE
    assert gap(ours[1], expected[1]) < TOLERANCE


@torch.no_grad()
def test_parity_fails_with_another_eps() -> None:
    config = tiny(14)
    oracle = make_oracle(config, 128)
    for module in oracle.mask_decoder.transformer.modules():
        if isinstance(module, torch.nn.LayerNorm):
            module.eps = 1e-2
    image = torch.randn(2, 64, 8, 8)
    expected, ours = both(
        oracle, with_weights_of(oracle, config, 128), image, prompts(128, 2), {"points"}, False
    )
    assert gap(ours[0], expected[0]) > TOLERANCE


@pytest.mark.exhaustive
@torch.no_grad()
def test_blocks_of_vit_b_match_transformers_at_1024_px() -> None:
    blocks = {"depth": 3, "global_attn_indexes": (2,)}  # two windowed, one global
    config = PRESETS["vit_b"].model_copy(update=blocks)
    oracle = make_oracle(config, 1024)
    sam = with_weights_of(oracle, config, 1024)
    images = torch.randn(1, 3, 1024, 1024)
    expected = oracle.get_image_embeddings(images)
    assert expected.std(dim=(2, 3)).mean() > 0.1
    assert gap(sam.image_encoder(images), expected) < TOLERANCE
    for kinds in ({"points"}, {"boxes"}, {"points", "masks"}):
        wanted, ours = both(oracle, sam, expected, prompts(1024, 1), kinds, True)
        assert wanted[0].std() > 0.1
        assert gap(ours[0], wanted[0]) < TOLERANCE
