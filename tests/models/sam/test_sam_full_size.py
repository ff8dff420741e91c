"""SAM at its published sizes: keys and shapes of all three, ViT-B's positions at every input size."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor
from transformers import SamConfig, SamModel

from save_avs.models.sam import PRESETS, Sam, build_sam, load_sam
from save_avs.models.sam.checkpoint import infer_config
from save_avs.weights.transformers_sam_keys import remap_transformers_sam
from tests.support.sam_oracle import make_oracle

# As transformers' own conversion of Meta's checkpoints sets them.
THEIRS = {
    "vit_b": {},
    "vit_l": {
        "hidden_size": 1024,
        "num_hidden_layers": 24,
        "num_attention_heads": 16,
        "mlp_dim": 4096,
        "global_attn_indexes": [5, 11, 17, 23],
    },
    "vit_h": {
        "hidden_size": 1280,
        "num_hidden_layers": 32,
        "num_attention_heads": 16,
        "mlp_dim": 5120,
        "global_attn_indexes": [7, 15, 23, 31],
    },
}
MILLIONS = {"vit_b": 93.7, "vit_l": 312.3, "vit_h": 641.1}


@pytest.mark.parametrize("name", PRESETS)
def test_keys_and_shapes_are_those_of_transformers(name):
    with torch.device("meta"):
        theirs = SamModel(SamConfig(vision_config=THEIRS[name])).state_dict()
        ours = build_sam(name).state_dict()
    renamed = remap_transformers_sam(theirs)
    assert {k: t.shape for k, t in renamed.items()} == {k: t.shape for k, t in ours.items()}
    assert infer_config(renamed, source="x") == (PRESETS[name], 1024)
    assert sum(t.numel() for t in ours.values()) / 1e6 == pytest.approx(MILLIONS[name], abs=0.1)


def lines(here: int, there: int) -> np.ndarray:
    """Weights [there,here] of linear resampling whose ends are the cells' outer edges."""
    weights = np.zeros((there, here))
    for i in range(there):
        at = min(max((i + 0.5) * here / there - 0.5, 0.0), here - 1.0)
        low = min(int(at), here - 2)
        weights[i, low], weights[i, low + 1] = 1 - (at - low), at - low
    return weights


def resampled(state: Mapping[str, Tensor], grid: int) -> dict[str, Tensor]:
    """A state of ViT-B at 1024 px with the positions of another grid, by plain matrices."""
    out = dict(state)
    across = lines(64, grid)
    key = "image_encoder.pos_embed"
    out[key] = torch.from_numpy(np.einsum("yr,rsc,xs->yxc", across, state[key][0].double().numpy(), across))
    out[key] = out[key][None].float()
    offsets = lines(127, 2 * grid - 1)
    for block in (2, 5, 8, 11):
        for side in "hw":
            key = f"image_encoder.blocks.{block}.attn.rel_pos_{side}"
            out[key] = torch.from_numpy(offsets @ state[key].double().numpy()).float()
    return out


@pytest.fixture(scope="module")
def vit_b(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Tensor], dict[str, Path]]:
    """ViT-B's tensors, all drawn, and the files of both publishers."""
    oracle, folder = make_oracle(PRESETS["vit_b"], 1024), tmp_path_factory.mktemp("vit_b")
    state = remap_transformers_sam(oracle.state_dict())
    torch.save(state, folder / "sam_vit_b.pth")
    (folder / "hub").mkdir()
    oracle.config.save_pretrained(folder / "hub")
    theirs = {key: tensor.clone() for key, tensor in oracle.state_dict().items()}
    save_file(theirs, folder / "hub" / "model.safetensors")
    return state, {"Meta": folder / "sam_vit_b.pth", "Hugging Face": folder / "hub"}


@pytest.mark.exhaustive
@pytest.mark.parametrize("publisher", ["Meta", "Hugging Face"])
@pytest.mark.parametrize("size", [256, 512, 1024])
@torch.no_grad()
def test_positions_of_vit_b_at_each_size(vit_b, publisher, size):
    state, files = vit_b
    sam = load_sam(files[publisher], image_size=size)
    expected = state if size == 1024 else resampled(state, size // 16)
    own = sam.state_dict()
    assert own.keys() == expected.keys()
    for key, tensor in expected.items():
        if "pos" in key.rsplit(".", 1)[-1]:
            # float32 places each sample to within 1e-5 of a cell; positions are 0.2 in size
            assert float((own[key] - tensor).abs().max()) < 2e-5, key
        else:
            assert torch.equal(own[key], tensor), key
    if size < 1024 and publisher == "Meta":  # the other file gave the same tensors
        assert float((sam_answer(expected, size) - answer(sam)).abs().max()) < 1e-4


def sam_answer(state: Mapping[str, Tensor], size: int) -> Tensor:
    """The embedding of a model built at that size with those tensors."""
    sam = build_sam("vit_b", image_size=size).eval()
    sam.load_state_dict(dict(state))
    return answer(sam)


def answer(sam: Sam) -> Tensor:
    size = sam.image_encoder.image_size
    return sam.image_encoder(torch.randn(1, 3, size, size, generator=torch.Generator().manual_seed(4)))


@pytest.mark.slow
@torch.no_grad()
def test_the_positions_matter(vit_b):
    state, _ = vit_b
    right = resampled(state, 16)
    wrong = {**right, "image_encoder.pos_embed": right["image_encoder.pos_embed"].flip(1)}
    gap = (sam_answer(right, 256) - sam_answer(wrong, 256)).abs().max()
    assert float(gap) > 1e-2
