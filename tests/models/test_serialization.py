from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from save_avs.errors import SaveAvsError, UsageError
from save_avs.models import SaveConfig, build_save, save_model
from save_avs.models.sam.checkpoint import resample_positions
from save_avs.models.serialization import init_from_folder, load_folder, read_config
from save_avs.runtimes import load_model
from tests.support.tiny_model import SAM, shake, tiny_batch, tiny_config, tiny_model


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    model = tiny_model()
    shake(model)
    return save_model(model, tmp_path / "model")


@pytest.mark.parametrize("runtime", ["torch", "auto"])
@pytest.mark.parametrize("file", ["config.json", "model.safetensors"])
def test_pipe_is_rejected_without_blocking(folder: Path, file: str, runtime: str) -> None:
    (folder / file).unlink()
    os.mkfifo(folder / file)
    with pytest.raises(UsageError, match=file):
        load_model(folder, device="cpu", runtime=runtime)


def rewrite(folder: Path, **changes) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | changes))


def test_folder_round_trips(folder):
    model = tiny_model()
    shake(model)
    back = load_folder(folder)
    config = back.config
    assert config == tiny_config() and not back.training
    assert back.state_dict().keys() == model.state_dict().keys()
    assert all(torch.equal(v, model.state_dict()[k]) for k, v in back.state_dict().items())


def test_half_precision_on_disk_is_full_in_memory(tmp_path):
    model = tiny_model()
    shake(model)
    save_model(model, tmp_path / "half", dtype=torch.float16)
    stored = load_file(tmp_path / "half" / "model.safetensors")
    assert {v.dtype for v in stored.values() if v.is_floating_point()} == {torch.float16}
    assert any(v.dtype == torch.int64 for v in stored.values())  # batch norm counts its batches
    back = load_folder(tmp_path / "half")
    assert all(p.dtype == torch.float32 for p in back.parameters())
    with torch.no_grad():
        assert torch.allclose(back(*tiny_batch()), model(*tiny_batch()), atol=0.1)


def test_load_model_takes_a_folder(folder):
    model = load_model(folder, device="cpu", precision="fp32")
    assert model.name == "tiny" and model.precision == "fp32" and model.device.type == "cpu"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"image_sise": 64}, "image_sise: Extra inputs are not permitted"),
        ({"image_size": 0}, "image_size: Input should be greater than 0"),
        ({"image_adapter": {"ratio": 1.5}}, "image_adapter.ratio: Input should be less than or equal to 1"),
        (
            {"image_adapter": {"spatial": "wide"}},
            "image_adapter.spatial: Input should be 'full', 'depthwise'",
        ),
        (
            {"audio_adapter": {"tokens": -1}},
            "audio_adapter.tokens: Input should be greater than or equal to 0",
        ),
        (
            {"audio_adapter": {"inject_into": "some"}},
            "audio_adapter.inject_into: Input should be 'all', 'last' or 'none'",
        ),
        ({"sam": {**SAM, "depth": "deep"}}, "sam.depth: Input should be a valid integer"),
        ({"resize": "stretch"}, "resize: Input should be 'squash' or 'pad'"),
    ],
)
def test_invalid_config_is_a_one_line_usage_error(folder, changes, message):
    rewrite(folder, **changes)
    with pytest.raises(UsageError) as caught:
        read_config(folder)
    text = str(caught.value)
    assert message in text and "config.json" in text and "\n" not in text


@pytest.mark.parametrize(
    "changes",
    [
        {"sam": {**SAM, "embed_dim": 1 << 14, "decoder_mlp_dim": 1 << 24}},
        {"sam": {**SAM, "depth": 1 << 10, "embed_dim": 1 << 14}},
        {"sam": {**SAM, "mlp_ratio": 1e300}},
        {"sam": {**SAM, "mlp_ratio": float("inf")}},
        {"audio_adapter": {"hidden": 1 << 33}},
        {"audio_adapter": {"hidden": 1 << 70}},
        {"audio_adapter": {"hidden": 24, "tokens": 1 << 28}},
        {"image_size": 1 << 14, "sam": {**SAM, "patch_size": 2, "embed_dim": 1 << 10}},
        {
            "image_size": 1 << 14,
            "pretrained": {"sam": {"name": "sam-vit-b", "size": 1000, "sha256": "0" * 64}},
        },
    ],
    ids=["width", "depth", "ratio", "infinite", "hidden", "overflow", "tokens", "grid", "resampled grid"],
)
def test_config_of_billions_of_parameters_takes_no_memory(folder, changes):
    rewrite(folder, **changes)
    before, start = peak_memory(), time.process_time()
    with pytest.raises(SaveAvsError) as caught:
        load_folder(folder)
    assert "\n" not in str(caught.value)
    assert time.process_time() - start < 1 and peak_memory() - before < 64_000_000


def peak_memory() -> int:
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def test_overlong_config_is_refused_unread(folder):
    (folder / "config.json").write_text(" " * (2**20 + 1))
    with pytest.raises(UsageError, match="1,048,577 bytes"):
        read_config(folder)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_weights_that_are_not_finite_are_refused(folder, value, dtype):
    state = load_file(folder / "model.safetensors")
    key = "audio_adapter.in_proj.bias"
    state[key] = state[key].to(dtype)
    state[key][3] = value
    save_file(state, folder / "model.safetensors")
    with pytest.raises(SaveAvsError, match=r"audio_adapter\.in_proj\.bias contains NaN or infinity"):
        load_folder(folder)


def test_config_that_is_not_json(folder):
    (folder / "config.json").write_text("name: tiny")
    with pytest.raises(UsageError, match=r"config\.json: Expecting value"):
        read_config(folder)


def test_unknown_backbone_is_rejected(folder):
    rewrite(folder, audio="wav2vec")
    with pytest.raises(UsageError, match="unknown audio backbone 'wav2vec': choose one of"):
        load_folder(folder)


def test_missing_folders_are_rejected(tmp_path):
    with pytest.raises(UsageError, match="not a model folder"):
        load_folder(tmp_path)
    with pytest.raises(UsageError, match=r"no model '.*nowhere': give a bundled name"):
        load_model(tmp_path / "nowhere")


def test_misspelled_bundled_name_is_suggested():
    with pytest.raises(UsageError, match="no model 'sav-tiny': did you mean 'save-tiny'"):
        load_model("sav-tiny")


def test_folder_without_weights_is_rejected(folder):
    (folder / "model.safetensors").unlink()
    with pytest.raises(UsageError, match="no such file"):
        load_folder(folder)


def test_mismatched_weights_are_named(folder):
    state = load_file(folder / "model.safetensors")
    state["extra"] = state.pop("audio_adapter.in_proj.bias")
    save_file(state, folder / "model.safetensors")
    with pytest.raises(SaveAvsError, match=r"1 missing: audio_adapter\.in_proj\.bias; 1 unexpected: extra"):
        load_folder(folder)


def test_defaults_are_the_papers():
    config = SaveConfig(name="save")
    assert config.image_size == 256 and config.resize == "squash" and config.audio == "vggish"
    assert config.image_adapter is not None
    assert (config.image_adapter.ratio, config.image_adapter.spatial) == (0.25, "full")
    chain = config.audio_adapter
    assert (chain.hidden, chain.tokens, chain.residual, chain.shared, chain.inject_into) == (
        512,
        1,
        True,
        True,
        "all",
    )
    assert (config.sam.embed_dim, config.sam.depth, config.sam.global_attn_indexes) == (
        768,
        12,
        (2, 5, 8, 11),
    )


class TestContinuing:
    """The next stage begins with the weights of the one before."""

    def test_same_size_and_parts(self, folder):
        model = tiny_model(seed=9)
        init_from_folder(model, folder)
        before = load_folder(folder)
        assert all(torch.equal(v, before.state_dict()[k]) for k, v in model.state_dict().items())

    def test_new_adapters_keep_their_initial_values(self, tmp_path):
        early = tiny_config(image_adapter=None)
        model = build_save(early)
        shake(model)
        save_model(model, tmp_path / "early")
        later = tiny_model(seed=9)
        fresh = {k: v.clone() for k, v in later.state_dict().items() if ".adapter." in k}
        init_from_folder(later, tmp_path / "early")
        assert fresh and all(torch.equal(later.state_dict()[k], v) for k, v in fresh.items())
        assert all(torch.equal(later.state_dict()[k], v) for k, v in model.state_dict().items())

    @pytest.mark.parametrize("size", [32, 80, 128])
    def test_positions_are_resampled_at_another_size(self, folder, size):
        config = tiny_config(image_size=size)
        later = build_save(config)
        init_from_folder(later, folder)
        before = load_folder(folder)
        expected = resample_positions(before.sam.state_dict(), before.config.sam, size)
        state = later.sam.state_dict()
        assert state.keys() == expected.keys()
        assert all(torch.equal(state[k], v) for k, v in expected.items())
        grid = size // 16
        assert state["image_encoder.pos_embed"].shape == (1, grid, grid, 32)
        assert state["image_encoder.blocks.1.attn.rel_pos_h"].shape == (2 * grid - 1, 16)  # global
        assert state["image_encoder.blocks.0.attn.rel_pos_h"].shape == (5, 16)  # windowed
        assert later(*tiny_batch(1, size)).shape == (1, 1, size // 4, size // 4)

    def test_constant_positions_stay_constant(self, tmp_path):
        model = tiny_model()
        with torch.no_grad():
            model.sam.image_encoder.pos_embed.fill_(0.25)
        save_model(model, tmp_path / "model")
        config = tiny_config(image_size=112)
        later = build_save(config)
        init_from_folder(later, tmp_path / "model")
        assert torch.allclose(later.sam.image_encoder.pos_embed, torch.tensor(0.25))

    def test_other_mismatches_are_named(self, folder):
        config = tiny_config(sam={**SAM, "depth": 2})
        with pytest.raises(SaveAvsError, match=r"unexpected: .*blocks\.2\."):
            init_from_folder(build_save(config), folder)

    def test_reset_parts_keep_their_values(self, folder):
        other = tiny_config(audio_adapter={"kind": "sama", "hidden": 8})
        later = build_save(other)
        own = {k: v.clone() for k, v in later.state_dict().items() if k.startswith("audio_adapter.")}
        init_from_folder(later, folder, reset=("audio_adapter",))
        before = load_folder(folder)
        state = later.state_dict()
        assert all(torch.equal(state[k], v) for k, v in own.items())
        kept = [k for k in before.state_dict() if not k.startswith("audio_adapter.")]
        assert len(kept) > 50 and all(torch.equal(state[k], before.state_dict()[k]) for k in kept)

    def test_reset_part_of_the_same_shape_is_not_loaded(self, folder):
        later = tiny_model(seed=9)
        own = {k: v.clone() for k, v in later.state_dict().items()}
        init_from_folder(later, folder, reset=("audio_adapter", "sam.mask_decoder"))
        taken = [k for k, v in later.state_dict().items() if not torch.equal(v, own[k])]
        assert taken and not any(k.startswith(("audio_adapter.", "sam.mask_decoder.")) for k in taken)

    def test_unknown_reset_part_is_rejected(self, folder):
        with pytest.raises(UsageError, match="has no audio"):
            init_from_folder(tiny_model(), folder, reset=("audio",))


def test_loading_a_model_does_not_import_the_compiler():
    """It takes as long as the rest of a short command."""
    pytest.importorskip("torch", minversion="2.13", reason="older ones import it for truncated draws")
    script = "import sys, save_avs; save_avs.load_model('save-tiny', device='cpu'); "
    script += "assert 'torch._dynamo' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_newer_config_loads_without_its_new_keys(tmp_path, caplog):
    config = json.loads(tiny_config().model_dump_json())
    assert config["format_version"] == 1
    newer = config | {"format_version": 2, "depth_branch": {"a": 1}}
    newer["audio_adapter"] |= {"gate": "tanh"}
    (tmp_path / "config.json").write_text(json.dumps(newer))
    assert read_config(tmp_path) == tiny_config()
    assert "format 2 is newer than this save-avs" in caplog.text
    assert "audio_adapter.gate" in caplog.text and "depth_branch" in caplog.text
    (tmp_path / "config.json").write_text(json.dumps(newer | {"format_version": 1}))
    with pytest.raises(UsageError, match="Extra inputs are not permitted"):
        read_config(tmp_path)
