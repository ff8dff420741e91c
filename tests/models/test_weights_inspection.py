"""Inspection of weight files and model folders."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import SamConfig, SamModel

from save_avs.errors import UsageError
from save_avs.models import build_from_pretrained, save_model
from save_avs.models.audio.vggish import VGGish
from save_avs.models.audio.yamnet import YAMNet
from save_avs.models.sam import PRESETS
from save_avs.models.weights_inspection import Inspection, describe_sam, inspect_weights
from save_avs.weights.cache import write_record
from save_avs.weights.identity import identify_file
from save_avs.weights.registry import PretrainedWeights, WeightsFile, pretrained_weights
from tests.support.tiny_model import shake, tiny_config, tiny_model


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SAVE_AVS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def sam(tmp_path: Path) -> Path:
    torch.save(tiny_model(image_adapter=None).sam.state_dict(), tmp_path / "sam.pth")
    return tmp_path / "sam.pth"


def fine(found: Inspection) -> Inspection:
    assert found.problems == []
    return found


def problem(path: Path) -> str:
    (line,) = inspect_weights(path).problems
    return line


@pytest.mark.parametrize("preset", PRESETS)
def test_published_sizes_are_named(preset):
    assert describe_sam(PRESETS[preset], 1024) == f"ViT-{preset[-1].upper()} at 1024 px"


def test_meta_sam(sam):
    found = fine(inspect_weights(sam))
    assert found.description.startswith(
        "SAM 32 wide, 3 blocks, at 64 px (no published size), Meta's key names, torch's"
    )
    assert found.identity == identify_file(sam) and found.published == ""


def test_incomplete_sam(sam):
    state = torch.load(sam, weights_only=True)
    del state["mask_decoder.iou_token.weight"]
    state["more"] = torch.zeros(1)
    torch.save(state, sam)
    assert inspect_weights(sam).problems == ["1 missing: mask_decoder.iou_token.weight", "1 unexpected: more"]


def test_hugging_face_folder(tmp_path):
    torch.manual_seed(0)
    vision = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "image_size": 64}
    small = SamConfig(
        vision_config={**vision, "mlp_dim": 64, "window_size": 3, "global_attn_indexes": [1]},
        mask_decoder_config={"mlp_dim": 32},
    )
    oracle = SamModel(small)
    oracle.save_pretrained(tmp_path)
    found = fine(inspect_weights(tmp_path))
    assert (
        found.description.startswith("SAM 32 wide, 2 blocks")
        and "transformers' key names, safetensors" in found.description
    )


def test_vggish(tmp_path):
    with torch.device("meta"):
        shapes = {key: tensor.shape for key, tensor in VGGish().state_dict().items()}
    keys = {key: torch.zeros(shape, dtype=torch.int8) for key, shape in shapes.items()}
    keys.pop("embeddings.4.bias")
    torch.save(keys, tmp_path / "v.pth")
    found = inspect_weights(tmp_path / "v.pth")
    assert found.description.startswith("VGGish, torch's format; 17 tensors, 72.1 M")
    assert found.problems == ["1 missing: embeddings.4.bias"]


def test_backbone_with_its_classifier(tmp_path):
    state = {key: tensor.contiguous() for key, tensor in YAMNet().state_dict().items()}
    torch.save({**state, "classifier.weight": torch.zeros(521, 1024)}, tmp_path / "yamnet.pth")
    assert fine(inspect_weights(tmp_path / "yamnet.pth")).description.startswith("YAMNet, torch's format")
    save_file({**state, "classes": torch.zeros(1)}, tmp_path / "more.safetensors")
    assert problem(tmp_path / "more.safetensors") == "1 unexpected: classes"


def test_unrelated_files(tmp_path):
    torch.save({"layer.weight": torch.ones(2)}, tmp_path / "other.pth")
    assert "neither a SAM nor an audio backbone" in problem(tmp_path / "other.pth")
    (tmp_path / "stub.pth").write_text("hello")
    assert problem(tmp_path / "stub.pth") == 'it is not a weight file but text ("hello")'
    (tmp_path / "none.pth").touch()
    assert problem(tmp_path / "none.pth") == "it is empty (0 bytes)"
    with pytest.raises(UsageError, match="no such file"):
        inspect_weights(tmp_path / "nowhere")


def test_pickled_code_is_reported_and_not_run(tmp_path):
    class Evil:
        def __reduce__(self):
            return Path.mkdir, (tmp_path / "trace",)

    torch.save({"a": Evil()}, tmp_path / "evil.pth")
    assert problem(tmp_path / "evil.pth").startswith("contains pickled code")
    assert not (tmp_path / "trace").exists()


class TestKnown:
    """Comparison with published files."""

    @pytest.fixture
    def published(self, sam, monkeypatch) -> PretrainedWeights:
        facts = identify_file(sam)
        file = WeightsFile(file="sam.pth", url="", size=facts.size, sha256=facts.sha256)
        known = PretrainedWeights(
            name="mine", description="", files=(file,), sha256_source="a manifest", license=""
        )
        monkeypatch.setitem(pretrained_weights(), "mine", known)
        return known

    def test_recognized_by_sha256_under_any_name(self, sam, published):
        sam.rename(sam.with_name("renamed.pth"))
        assert fine(inspect_weights(sam.with_name("renamed.pth"))).published == "mine (a manifest)"

    def test_other_file_with_a_published_name(self, sam, published):
        whole = sam.read_bytes()
        sam.write_bytes(whole[:-1])
        assert f"is named like mine, but it has {len(whole) - 1:,} bytes" in problem(sam)
        sam.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
        assert "is named like mine, but its sha256 is" in problem(sam)

    def test_stub_with_a_published_name(self, tmp_path):
        stub = tmp_path / "sam_vit_b_01ec64.pth"
        stub.write_text("x" * 61)
        assert "is named like sam-vit-b, but it has 61 bytes instead of 375,042,383" in problem(stub)

    def test_recognized_by_its_record(self, sam):
        write_record(sam, identify_file(sam, "sam-vit-b-hf"))
        assert "sam-vit-b-hf, as recorded at its first download" in fine(inspect_weights(sam)).published
        state = torch.load(sam, weights_only=True)
        state["image_encoder.pos_embed"] += 1
        torch.save(state, sam)
        assert "it is not the file that was fetched" in problem(sam)


class TestModelFolders:
    """Folders of a SAVE, with pretrained checkpoints and without."""

    def test_whole_model(self, tmp_path):
        folder = save_model(tiny_model(), tmp_path / "model")
        assert fine(inspect_weights(folder)).description.startswith("a whole SAVE: tiny, 64 px; ")

    def test_trained_part_of_a_model(self, sam, tmp_path, cache):
        model = build_from_pretrained(tiny_config(), sam=sam)
        shake(model.audio_adapter)
        folder = save_model(model, tmp_path / "model")
        assert problem(folder).startswith("This model requires the base weights sam.pth")
        cache.mkdir()
        sam.rename(cache / "sam.pth")
        found = fine(inspect_weights(folder))
        assert found.description.startswith("the trained part of a SAVE: tiny")
        assert found.notes[0].endswith(str(cache / "sam.pth"))

    def test_incomplete_model(self, sam, tmp_path, cache):
        folder = save_model(build_from_pretrained(tiny_config(), sam=sam), tmp_path / "model")
        cache.mkdir()
        sam.rename(cache / "sam.pth")
        state = load_file(folder / "model.safetensors")
        gone = ("audio_adapter.in_proj.bias", "sam.image_encoder.blocks.0.adapter.gate")
        save_file({k: v for k, v in state.items() if k not in gone}, folder / "model.safetensors")
        assert inspect_weights(folder).problems == [f"2 missing: {gone[1]}, {gone[0]}"]

    def test_invalid_config(self, tmp_path):
        folder = save_model(tiny_model(), tmp_path / "model")
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps(config | {"image_size": -1}))
        assert "image_size: Input should be greater than 0" in problem(folder)


def test_bundled_model():
    from save_avs.runtimes.loading import find_model_folder

    assert (
        "a whole SAVE: save-tiny, 256 px" in fine(inspect_weights(find_model_folder("save-tiny"))).description
    )
