"""Either publisher's file becomes safetensors with Meta's key names, tensor for tensor."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from save_avs.errors import SaveAvsError, UsageError
from save_avs.models.sam import SamConfig
from save_avs.models.sam.checkpoint import convert_sam
from tests.support.sam_oracle import make_oracle, with_weights_of

CONFIG = SamConfig(
    embed_dim=32,
    depth=2,
    num_heads=2,
    window_size=3,
    global_attn_indexes=(1,),
    prompt_embed_dim=32,
    decoder_mlp_dim=48,
)


def sources(folder: Path) -> dict[str, tuple[Path, dict[str, torch.Tensor]]]:
    oracle = make_oracle(CONFIG, 64)
    state = with_weights_of(oracle, CONFIG, 64).state_dict()
    torch.save(state, folder / "meta.pth")
    (folder / "hub").mkdir()
    theirs = {key: tensor.clone() for key, tensor in oracle.state_dict().items()}
    save_file(theirs, folder / "hub" / "model.safetensors")
    oracle.config.save_pretrained(folder / "hub")
    return {"meta": (folder / "meta.pth", state), "hub": (folder / "hub", state)}


@pytest.mark.parametrize("publisher", ["meta", "hub"])
def test_tensors_are_kept_under_metas_names(tmp_path, publisher):
    source, state = sources(tmp_path)[publisher]
    checkpoint = convert_sam(source, tmp_path / "sam.safetensors")
    assert (checkpoint.config, checkpoint.image_size) == (CONFIG, 64)
    found = load_file(tmp_path / "sam.safetensors")
    assert found.keys() == state.keys()
    assert all(torch.equal(found[key], state[key]) for key in state)


def test_invalid_sam_writes_no_file(tmp_path):
    source, state = sources(tmp_path)["meta"]
    torch.save({**state, "image_encoder.more": torch.zeros(1)}, source)
    with pytest.raises(SaveAvsError, match=r"1 unexpected: image_encoder\.more"):
        convert_sam(source, tmp_path / "sam.safetensors")
    with pytest.raises(UsageError, match="no such file"):
        convert_sam(tmp_path / "nowhere.pth", tmp_path / "sam.safetensors")
    assert not list(tmp_path.glob("*.safetensors")) and not list(tmp_path.glob(".*"))
