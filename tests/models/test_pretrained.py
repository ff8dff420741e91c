"""Models on published checkpoints: what is saved, where checkpoints are found, when they are rejected."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from save_avs.errors import DataError, SaveAvsError, UsageError
from save_avs.models import SAVE, build_from_pretrained, save_model
from save_avs.models.freeze import freeze_except
from save_avs.models.pretrained import checksum
from save_avs.models.sam.checkpoint import load_sam
from save_avs.models.serialization import init_from_folder, load_folder, read_config
from save_avs.runtimes import load_model
from save_avs.weights.identity import identify_file
from save_avs.weights.registry import WeightsFile, pretrained_weights
from tests.support.tiny_model import SAM, shake, tiny_batch, tiny_config, tiny_model

TRAINABLE = ["adapter", "audio_adapter", "mask_decoder"]


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Path]:
    """A SAM of 128 px and a backbone, as publishers would have them; the cache is empty."""
    monkeypatch.setenv("SAVE_AVS_CACHE", str(tmp_path / "cache"))
    source = tiny_model(seed=3, image_size=128, image_adapter=None)
    shake(source)
    files = {"sam": tmp_path / "sam.pth", "audio": tmp_path / "compact.safetensors"}
    torch.save(source.sam.state_dict(), files["sam"])
    heard = source.audio_backbone.state_dict()
    save_file({key: tensor.contiguous() for key, tensor in heard.items()}, files["audio"])
    return files


def trained(files: dict[str, Path], **changes) -> SAVE:
    """A model on both bases, a few steps of something away from where it began."""
    torch.manual_seed(0)
    model = build_from_pretrained(tiny_config(**changes), **files)
    freeze_except(model, TRAINABLE)
    draw = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn(parameter.shape, generator=draw), alpha=0.1)
    return model.eval()


def same(one: torch.nn.Module, other: torch.nn.Module) -> bool:
    a, b = one.state_dict(), other.state_dict()
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


def test_parts_equal_the_checkpoints(files):
    model = build_from_pretrained(tiny_config(), **files)
    sam = load_sam(files["sam"], image_size=64)
    state = model.sam.state_dict()
    assert all(torch.equal(state[key], tensor) for key, tensor in sam.state_dict().items())
    assert all(
        torch.equal(model.audio_backbone.state_dict()[k], v) for k, v in load_file(files["audio"]).items()
    )
    assert not any(p.requires_grad for p in model.audio_backbone.parameters())
    assert model.pretrained is not None and model.pretrained.refs.sam == identify_file(files["sam"])


def test_only_trained_tensors_are_saved(files, tmp_path):
    model = trained(files)
    folder = save_model(model, tmp_path / "model")
    kept = load_file(folder / "model.safetensors").keys()
    assert kept == {name for name, p in model.named_parameters() if p.requires_grad}
    refs = json.loads((folder / "config.json").read_text())["pretrained"]
    assert refs["sam"] == {"name": "sam.pth", **sizes(files["sam"])}
    assert refs["audio"] == {"name": "compact.safetensors", **sizes(files["audio"])}
    card = (folder / "README.md").read_text()
    assert card.startswith("---\nlibrary_name: save-avs\n") and refs["sam"]["sha256"] in card


def sizes(file: Path) -> dict[str, object]:
    identity = identify_file(file)
    return {"size": identity.size, "sha256": identity.sha256}


@pytest.mark.parametrize("size", [64, 96, 128])
def test_folder_and_checkpoints_restore_the_model(files, tmp_path, size):
    model = trained(files, image_size=size)
    folder = save_model(model, tmp_path / "model")
    back = load_folder(folder, pretrained=list(files.values()))
    config = back.config
    assert same(back, model) and not back.training
    assert not any(t.is_meta for t in back.state_dict().values())
    assert config.pretrained.sam == identify_file(files["sam"])
    with torch.no_grad():
        torch.testing.assert_close(back(*tiny_batch(1, size)), model(*tiny_batch(1, size)))


def test_loaded_model_saves_identical_files(files, tmp_path):
    first = save_model(trained(files), tmp_path / "first")
    back = load_folder(first, pretrained=files["sam"].parent)
    second = save_model(back, tmp_path / "second")
    for name in ("model.safetensors", "config.json"):
        assert (first / name).read_bytes() == (second / name).read_bytes()


def test_changed_tensors_are_saved_even_if_frozen(files, tmp_path):
    model = trained(files)
    with torch.no_grad():
        model.sam.image_encoder.pos_embed[0, 0, 0, 0] += 1e-6
    model.requires_grad_(False)
    folder = save_model(model, tmp_path / "model")
    assert "sam.image_encoder.pos_embed" in load_file(folder / "model.safetensors")
    assert same(load_folder(folder, pretrained=list(files.values())), model)


def test_sam_checkpoint_alone(files, tmp_path):
    model = build_from_pretrained(tiny_config(), sam=files["sam"])
    folder = save_model(model, tmp_path / "model")
    kept = load_file(folder / "model.safetensors")
    assert any(key.startswith("audio_backbone.") for key in kept)
    assert not any(key.startswith("sam.image_encoder.neck") for key in kept)
    assert same(load_folder(folder, pretrained=files["sam"]), model)


def test_model_without_checkpoints_is_saved_whole(tmp_path):
    folder = save_model(tiny_model(), tmp_path / "model")
    assert load_file(folder / "model.safetensors").keys() == tiny_model().state_dict().keys()
    assert not read_config(folder).pretrained
    assert "holds the whole model" in (folder / "README.md").read_text()


def test_existing_model_card_is_kept(tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "README.md").write_text("mine")
    save_model(tiny_model(), tmp_path / "model")
    assert (tmp_path / "model" / "README.md").read_text() == "mine"


class TestFinding:
    """Where a base is looked for, and what is refused."""

    def test_found_in_the_cache_under_any_name(self, files, tmp_path):
        model = trained(files)
        folder = save_model(model, tmp_path / "model")
        (tmp_path / "cache" / "deep").mkdir(parents=True)
        for i, file in enumerate(files.values()):
            file.rename(tmp_path / "cache" / "deep" / f"{i}.bin")
        assert same(load_model(folder, device="cpu", precision="fp32"), model)

    def test_missing_checkpoint_is_a_usage_error(self, files, tmp_path):
        folder = save_model(trained(files), tmp_path / "model")
        with pytest.raises(
            UsageError, match=r"weights sam\.pth .*which were not found: give its path as pretrained"
        ):
            load_model(folder)

    def test_message_for_known_weights_says_how_to_fetch_them(self, files, tmp_path, monkeypatch):
        sam = identify_file(files["sam"])
        file = WeightsFile(file="sam.pth", url="", size=sam.size, sha256=sam.sha256)
        known = pretrained_weights()["sam-vit-b"]
        monkeypatch.setitem(
            pretrained_weights(), "sam-vit-b", type(known)(**{**vars(known), "files": (file,)})
        )
        folder = save_model(trained(files), tmp_path / "model")
        assert read_config(folder).pretrained.sam.name == "sam-vit-b"
        with pytest.raises(UsageError, match=r"weights sam-vit-b .*run `save-avs weights fetch sam-vit-b`"):
            load_model(folder)
        with pytest.raises(UsageError, match="run `save-avs weights fetch sam-vit-b`"):
            build_from_pretrained(tiny_config(), sam="sam-vit-b")
        place = tmp_path / "cache" / "sam-vit-b" / "sam.pth"
        place.parent.mkdir(parents=True)
        place.write_bytes(b"tampered with")
        with pytest.raises(DataError, match=r"base weights sam-vit-b .*sam\.pth is sam\.pth \(13 bytes"):
            load_model(folder)
        files["sam"].rename(place)
        assert build_from_pretrained(tiny_config(), sam="sam-vit-b").pretrained.refs.sam.name == "sam-vit-b"

    def test_other_file_of_the_same_name_is_rejected(self, files, tmp_path):
        folder = save_model(trained(files), tmp_path / "model")
        state = torch.load(files["sam"], weights_only=True)
        state["image_encoder.neck.0.weight"] += 1  # of the same size
        other = tmp_path / "other" / "sam.pth"  # torch writes the name into the file
        other.parent.mkdir()
        torch.save(state, other)
        assert other.stat().st_size == files["sam"].stat().st_size
        with pytest.raises(DataError) as caught:
            load_model(folder, pretrained=[other, files["audio"]])
        line = str(caught.value)
        assert (
            "requires the base weights sam.pth" in line and f"{other} is sam.pth" in line and "\n" not in line
        )

    def test_missing_path_is_rejected(self, files, tmp_path):
        folder = save_model(trained(files), tmp_path / "model")
        with pytest.raises(UsageError, match="no such file or folder; give the base weights"):
            load_model(folder, pretrained=tmp_path / "gone.pth")


def test_sam_of_another_size_is_rejected(files):
    config = tiny_config(sam={**SAM, "depth": 5, "global_attn_indexes": (1, 4)})
    with pytest.raises(SaveAvsError) as caught:
        build_from_pretrained(config, sam=files["sam"])
    assert "depth 3 instead of 5, global_attn_indexes (1,) instead of (1, 4)" in str(caught.value)


def test_other_backbone_than_the_configs_is_rejected(files):
    with pytest.raises(SaveAvsError, match=r"compact\.safetensors does not fit VGGish; .*missing"):
        build_from_pretrained(tiny_config(audio="vggish"), audio=files["audio"])


class TestContinuing:
    """A stage initialized from a model folder that refers to pretrained weights."""

    def test_same_checkpoints(self, files, tmp_path):
        first = trained(files)
        folder = save_model(first, tmp_path / "first")
        second = build_from_pretrained(tiny_config(), **files)
        init_from_folder(second, folder)
        assert same(second, first)
        again = save_model(second, tmp_path / "second")
        assert (again / "model.safetensors").read_bytes() == (folder / "model.safetensors").read_bytes()

    def test_positions_are_resampled_from_the_checkpoint_at_another_size(self, files, tmp_path):
        folder = save_model(trained(files), tmp_path / "first")
        second = build_from_pretrained(tiny_config(image_size=128), **files)
        init_from_folder(second, folder)
        published = load_sam(files["sam"])
        assert torch.equal(second.sam.image_encoder.pos_embed, published.image_encoder.pos_embed)

    @pytest.mark.parametrize("kind", ["sam", "audio"])
    def test_model_on_other_checkpoints_is_rejected(self, files, tmp_path, kind):
        folder = save_model(trained(files), tmp_path / "first")
        with pytest.raises(SaveAvsError, match=f"as its {kind} weights: build on the same file"):
            init_from_folder(build_from_pretrained(tiny_config(), **{**files, kind: None}), folder)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.int64])
def test_checksum_changes_with_the_smallest_change(dtype):
    tensor = (torch.randn(3, 4) * 100).to(dtype)
    before = checksum(tensor)
    assert checksum(tensor.clone()) == before
    words = tensor.view({2: torch.int16, 4: torch.int32, 8: torch.int64}[tensor.element_size()])
    words[1, 2] += 1
    assert checksum(tensor) == before + 1
