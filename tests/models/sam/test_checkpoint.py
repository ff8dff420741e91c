"""Loading SAM: either publisher's files, at their size or another, or a line that names what does not fit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from save_avs.errors import SaveAvsError, UsageError
from save_avs.models.sam import PRESETS, SamConfig, build_sam, load_sam
from save_avs.models.sam.checkpoint import infer_config, resample_positions
from tests.support.sam_oracle import make_oracle, with_weights_of

SIZE = 128
CONFIG = SamConfig(
    embed_dim=32,
    depth=3,
    num_heads=2,
    window_size=3,
    global_attn_indexes=(1,),
    prompt_embed_dim=32,
    decoder_mlp_dim=48,
    iou_head_hidden_dim=24,
)


@pytest.fixture
def state() -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    return {
        key: torch.randn_like(tensor)
        for key, tensor in build_sam(CONFIG, image_size=SIZE).state_dict().items()
    }


def same(sam: torch.nn.Module, state: dict[str, torch.Tensor]) -> bool:
    """Whether a module holds exactly that state."""
    own = sam.state_dict()
    return own.keys() == state.keys() and all(torch.equal(own[key], state[key]) for key in own)


@pytest.mark.parametrize("preset", PRESETS)
def test_config_of_published_models_is_inferred(preset: str) -> None:
    with torch.device("meta"):
        sam = build_sam(preset)
    assert infer_config(sam.state_dict(), source="x") == (PRESETS[preset], 1024)


def test_official_keys_and_shapes() -> None:
    with torch.device("meta"):
        state = build_sam("vit_b").state_dict()
    shapes = {key: list(tensor.shape) for key, tensor in state.items()}
    assert len(shapes) == 314
    assert sum(tensor.numel() for tensor in state.values()) == 93_735_728
    for key, shape in {
        "image_encoder.pos_embed": [1, 64, 64, 768],
        "image_encoder.patch_embed.proj.weight": [768, 3, 16, 16],
        "image_encoder.blocks.0.attn.qkv.weight": [2304, 768],
        "image_encoder.blocks.0.attn.rel_pos_h": [27, 64],
        "image_encoder.blocks.2.attn.rel_pos_w": [127, 64],
        "image_encoder.blocks.11.mlp.lin1.weight": [3072, 768],
        "image_encoder.neck.0.weight": [256, 768, 1, 1],
        "image_encoder.neck.3.bias": [256],
        "prompt_encoder.pe_layer.positional_encoding_gaussian_matrix": [2, 128],
        "prompt_encoder.point_embeddings.3.weight": [1, 256],
        "prompt_encoder.not_a_point_embed.weight": [1, 256],
        "prompt_encoder.mask_downscaling.6.weight": [256, 16, 1, 1],
        "prompt_encoder.no_mask_embed.weight": [1, 256],
        "mask_decoder.transformer.layers.1.cross_attn_image_to_token.q_proj.weight": [128, 256],
        "mask_decoder.transformer.layers.0.mlp.lin1.weight": [2048, 256],
        "mask_decoder.transformer.norm_final_attn.weight": [256],
        "mask_decoder.iou_token.weight": [1, 256],
        "mask_decoder.mask_tokens.weight": [4, 256],
        "mask_decoder.output_upscaling.3.weight": [64, 32, 2, 2],
        "mask_decoder.output_hypernetworks_mlps.3.layers.2.weight": [32, 256],
        "mask_decoder.iou_prediction_head.layers.2.weight": [4, 256],
    }.items():
        assert shapes[key] == shape


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "old torch format"])
def test_meta_checkpoint_round_trips(state, tmp_path: Path, legacy: bool) -> None:
    torch.save(state, tmp_path / "sam.pth", _use_new_zipfile_serialization=not legacy)
    sam = load_sam(tmp_path / "sam.pth")
    assert same(sam, state)
    assert not sam.training
    assert all(p.requires_grad and p.dtype == torch.float32 and not p.is_meta for p in sam.parameters())


def test_safetensors_file_loads_in_any_dtype(state, tmp_path: Path) -> None:
    save_file({key: tensor.half() for key, tensor in state.items()}, tmp_path / "sam.safetensors")
    sam = load_sam(tmp_path / "sam.safetensors")
    assert sam.image_encoder.pos_embed.dtype == torch.float32
    assert (
        load_sam(tmp_path / "sam.safetensors", dtype=torch.bfloat16).image_encoder.pos_embed.dtype
        == torch.bfloat16
    )


@pytest.mark.parametrize("form", ["model.safetensors", "pytorch_model.bin"])
@torch.no_grad()
def test_hugging_face_folder_loads(tmp_path: Path, form: str) -> None:
    config = CONFIG.model_copy(update={"decoder_num_heads": 4})
    oracle = make_oracle(config, SIZE)
    oracle.config.save_pretrained(tmp_path)
    state = {key: tensor.clone() for key, tensor in oracle.state_dict().items()}
    if form == "model.safetensors":
        save_file(state, tmp_path / form)
    else:
        torch.save(state, tmp_path / form)
    sam = load_sam(tmp_path)
    assert sam.mask_decoder.transformer.layers[0].self_attn.num_heads == 4
    images = torch.randn(1, 3, 128, 128)
    torch.testing.assert_close(sam(images)[0], with_weights_of(oracle, config, SIZE)(images)[0])


def test_positions_are_resampled_to_a_smaller_image(state, tmp_path: Path) -> None:
    torch.save(state, tmp_path / "sam.pth")
    sam = load_sam(tmp_path / "sam.pth", image_size=64)
    # Half as many cells without aligned corners: each is in the middle of four.
    old = state["image_encoder.pos_embed"][0]
    middle = (old[0::2, 0::2] + old[1::2, 0::2] + old[0::2, 1::2] + old[1::2, 1::2]) / 4
    torch.testing.assert_close(sam.image_encoder.pos_embed[0], middle)
    # 15 offsets to 7: the i-th lies at (i + 1/2) 15/7 - 1/2.
    table = state["image_encoder.blocks.1.attn.rel_pos_h"].numpy()
    at = (np.arange(7) + 0.5) * 15 / 7 - 0.5
    expected = np.stack([np.interp(at, np.arange(15), column) for column in table.T], axis=1)
    ours = sam.image_encoder.get_parameter("blocks.1.attn.rel_pos_h")
    np.testing.assert_allclose(ours.detach().numpy(), expected, atol=1e-5)
    windowed = "blocks.0.attn.rel_pos_h"
    assert torch.equal(sam.image_encoder.get_parameter(windowed), state[f"image_encoder.{windowed}"])
    assert sam(torch.randn(1, 3, 64, 64))[0].shape == (1, 1, 16, 16)


def test_positions_of_vit_b_at_256_px() -> None:
    with torch.device("meta"):
        state = build_sam("vit_b").state_dict()
    state = resample_positions(state, PRESETS["vit_b"], 256)
    with torch.device("meta"):
        wanted = build_sam("vit_b", image_size=256).state_dict()
    assert {key: t.shape for key, t in state.items()} == {key: t.shape for key, t in wanted.items()}
    assert list(state["image_encoder.pos_embed"].shape) == [1, 16, 16, 768]
    assert list(state["image_encoder.blocks.2.attn.rel_pos_h"].shape) == [31, 64]


def test_every_mismatched_key_is_named(state, tmp_path: Path) -> None:
    del state["mask_decoder.iou_token.weight"], state["image_encoder.neck.0.weight"]
    state["image_encoder.extra"] = torch.zeros(1)
    state["image_encoder.blocks.2.mlp.lin1.bias"] = torch.zeros(5)
    torch.save(state, tmp_path / "sam.pth")
    with pytest.raises(SaveAvsError) as error:
        load_sam(tmp_path / "sam.pth")
    line = str(error.value)
    assert "\n" not in line
    assert "2 missing: image_encoder.neck.0.weight, mask_decoder.iou_token.weight" in line
    assert "1 unexpected: image_encoder.extra" in line
    assert "image_encoder.blocks.2.mlp.lin1.bias is [5] instead of [128]" in line


def test_other_checkpoints_are_rejected(tmp_path: Path) -> None:
    torch.save({"conv.weight": torch.zeros(1)}, tmp_path / "other.pth")
    with pytest.raises(SaveAvsError, match=r"not a whole SAM checkpoint; missing image_encoder\.pos_embed"):
        load_sam(tmp_path / "other.pth")


def test_invalid_image_size_is_a_usage_error(state, tmp_path: Path) -> None:
    torch.save(state, tmp_path / "sam.pth")
    with pytest.raises(UsageError, match="multiple of the patch size, 16"):
        load_sam(tmp_path / "sam.pth", image_size=100)
