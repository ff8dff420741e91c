"""The paper's experiments end to end, at save-tiny's size or below: compose, validate, train, evaluate."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file

from save_avs.cli import main
from studies.cli import main as studies_main
from tests.support.tiny_model import SAM, shake, tiny_model

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Composed trees in the official layouts, and bases in the published formats."""
    home = tmp_path_factory.mktemp("pipeline")
    for layout in ("s4", "ms3", "v3"):
        place = ["-o", str(home / layout), "--layout", layout]
        assert studies_main(["compose", "sample", *place, "--count", "3", "--size", "48x48"]) == 0
    source = tiny_model(seed=3, image_size=128, image_adapter=None)
    shake(source)
    (home / "pretrained").mkdir()
    torch.save(source.sam.state_dict(), home / "pretrained" / "sam.pth")
    heard = {key: value.contiguous() for key, value in source.audio_backbone.state_dict().items()}
    save_file(heard, home / "pretrained" / "ear.safetensors")
    (home / "tiny.yaml").write_text(yaml.safe_dump(recipe(home)))
    return home


def recipe(home: Path) -> dict:
    """What the experiments share, as s4-256 does it."""
    stage = {
        "task": "avs",
        "data": {"name": "s4", "root": str(home / "s4")},
        "epochs": 2,
        "batch_size": 2,
        "lr": 1e-3,
        "min_lr": 1e-7,
    }
    return {
        "model": {
            "name": "tiny",
            "image_size": 64,
            "audio": "compact",
            "sam": {**SAM, "global_attn_indexes": list(SAM["global_attn_indexes"])},
            "image_adapter": {"ratio": 0.25, "spatial": "depthwise"},
            "audio_adapter": {"hidden": 24},
        },
        "pretrained": {
            "sam": str(home / "pretrained" / "sam.pth"),
            "audio": str(home / "pretrained" / "ear.safetensors"),
        },
        "out": str(home / "runs" / "s4"),
        "precision": "fp32",
        "workers": 0,
        "stages": {"train": stage},
    }


def experiment(home: Path, name: str, **stage) -> Path:
    """Write a recipe that extends the shared one, check it, train it; returns the model's folder."""
    path = home / f"{name}.yaml"
    out = home / "runs" / name
    path.write_text(yaml.safe_dump({"extends": "tiny.yaml", "out": str(out), "stages": {"train": stage}}))
    assert main(["validate", str(path)]) == 0
    assert main(["train", str(path)]) == 0
    return out / "train" / "model"


def table(home: Path, model: Path, data: str, root: str, monkeypatch) -> dict:
    """Evaluate, the bases found in the cache; returns report.json."""
    monkeypatch.setenv("SAVE_AVS_CACHE", str(home / "pretrained"))
    out = home / "reports" / f"{model.parts[-3]}-{data}"
    options = ["--data", data, "--root", str(home / root), "-o", str(out), "--protocol", "official"]
    assert main(["eval", str(model), *options]) == 0
    assert "official" in (out / "report.md").read_text()
    return json.loads((out / "report.json").read_text())


def test_s4_then_ms3_initialized_from_it(home, monkeypatch):
    s4 = experiment(home, "s4")
    kept = load_file(s4 / "model.safetensors")
    assert kept and not any(
        "attn" in key or key.startswith("audio_backbone") for key in kept if "image_enc" in key
    )
    assert kept and all(
        ".adapter." in k or k.startswith(("audio_adapter.", "sam.mask_decoder.")) for k in kept
    )
    assert table(home, s4, "s4", "s4", monkeypatch)
    data = {"name": "ms3", "root": str(home / "ms3")}
    ms3 = experiment(home, "s4-ms3", data=data, init_from=str(s4), epochs=1)
    assert table(home, ms3, "ms3", "ms3", monkeypatch)


def test_v3_zero_shot_then_one_shot(home, monkeypatch):
    root = str(home / "v3")
    zero = experiment(home, "v3-0", data={"name": "v3-0", "root": root}, epochs=1)
    one = experiment(home, "v3-1", data={"name": "v3-1", "root": root}, init_from=str(zero), epochs=1)
    assert table(home, zero, "v3-0", "v3", monkeypatch) and table(home, one, "v3-1", "v3", monkeypatch)


def test_semantic_stage_on_v3_clips(home):
    parts = ["adapter", "audio_adapter", "mask_decoder", "semantic"]
    data = {"name": "v2", "root": str(home / "v3")}
    model = experiment(
        home, "semantic", data=data, trainable=parts, semantic_weight=1.0, epochs=1, center_crop=True
    )
    assert json.loads((model / "config.json").read_text())["semantic"]["classes"][0] == "background"
    rows = (model.parent / "metrics.jsonl").read_text()
    assert "val_class_miou" in rows
