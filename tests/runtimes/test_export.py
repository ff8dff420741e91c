"""Exports: a folder that runs without this program, checked before it appears."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from save_avs.cli import main
from save_avs.errors import SaveAvsError
from save_avs.inference.settings import SegmentationSettings
from save_avs.models import build_save
from save_avs.models.preprocess import MASK_THRESHOLD
from save_avs.models.serialization import load_folder, read_license, save_model
from save_avs.runtimes.export import TARGETS, export_model
from save_avs.runtimes.export_check import read_check_chunk, reference_probabilities, run_check
from tests.support.sample_videos import make_video
from tests.support.tiny_model import SAM, shake, tiny_config

FILES = {"README.md", "MODEL_CARD.md", "example.npz", "model.json", "run.py"}
GRAPHS = {"onnx": {"model.onnx"}, "openvino": {"model.xml", "model.bin"}, "torch": {"model.pt2"}}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import torch

    torch.manual_seed(0)
    model = build_save(tiny_config(sam=SAM | {"depth": 2})).eval()
    shake(model)
    return save_model(model, tmp_path_factory.mktemp("models") / "tiny", license="mit")


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_video(tmp_path_factory.mktemp("clips") / "square.mp4", size=(96, 64))


def alone(export: Path, *arguments: str) -> None:
    """Run an exported runner where ``save_avs`` cannot be imported."""
    script = "import sys, runpy; sys.modules['save_avs'] = None; sys.argv = sys.argv[1:]; "
    script += "runpy.run_path(sys.argv[0], run_name='__main__')"
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    subprocess.run(
        [sys.executable, "-c", script, "run.py", *arguments], cwd=export, env=environment, check=True
    )


def check_folder(export: Path, target: str) -> None:
    assert {path.name for path in export.iterdir()} == FILES | GRAPHS[target]
    about = json.loads((export / "model.json").read_text())
    assert about["file"] in GRAPHS[target] and about["target"] == target
    assert about["license"] == "mit" and "weights: mit." in (export / "README.md").read_text()
    assert about["check"]["frames"] == 16 and about["check"]["mask_iou"] > 0.999
    assert len((export / "run.py").read_text().splitlines()) <= 40
    alone(export, "example.npz", "masks.npz")
    with np.load(export / "example.npz") as example, np.load(export / "masks.npz") as found:
        assert found["masks"].shape == example["masks"].shape == (16, 64, 96)
        assert (found["masks"] != example["masks"]).mean() < 0.001
        assert example["masks"].any() and not example["masks"].all()


@pytest.fixture(scope="module")
def exported(folder: Path, clip: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """To torch, by the command."""
    out = tmp_path_factory.mktemp("exports") / "out"
    assert main(["export", str(folder), "--to", "torch", "-o", str(out), "--check", str(clip)]) == 0
    return out


def test_torch_export(exported, folder, capsys):
    check_folder(exported, "torch")
    assert main(["export", str(folder), "--to", "torch", "-o", str(exported)]) == 2
    assert "already exists" in capsys.readouterr().err


@pytest.mark.exhaustive
@pytest.mark.parametrize("target", ["onnx", "openvino"])
def test_onnx_and_openvino_exports(target, folder, clip, tmp_path):
    for package in TARGETS[target].packages:
        pytest.importorskip(package)
    export_model(folder, tmp_path / "out", to=target, check=clip)
    check_folder(tmp_path / "out", target)


def test_license_is_none_where_no_card_states_one(tmp_path):
    assert read_license(tmp_path) is None
    (tmp_path / "README.md").write_text("---\nlicense: [\n---\n")
    assert read_license(tmp_path) is None


def test_threshold_is_that_of_segmentation():
    assert SegmentationSettings().threshold == MASK_THRESHOLD


def test_disagreeing_export_is_rejected(exported, folder, clip):
    model = load_folder(folder)
    seen = read_check_chunk(clip, model.frontend.sample_rate)
    wanted = reference_probabilities(model, seen)
    assert run_check(exported, seen, wanted, name="square.mp4").mask_iou > 0.999
    with pytest.raises(SaveAvsError, match=r"disagrees with PyTorch on square\.mp4: mean IoU"):
        run_check(exported, seen, 1 - wanted, name="square.mp4")


def test_failed_export_leaves_no_files(folder, clip, tmp_path, monkeypatch):
    monkeypatch.setattr(
        "save_avs.runtimes.export.trace_end_to_end", lambda model: None
    )  # no program to write
    with pytest.raises(TypeError):
        export_model(folder, tmp_path / "out", to="torch", check=clip)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.exhaustive
def test_full_disk_is_a_one_line_error(folder, clip, tmp_path):
    """As far as a program sees: no file may grow beyond what is left."""
    script = "import resource, sys; from save_avs.cli import main; "
    script += "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000)); sys.exit(main())"
    command = ["export", str(folder), "--to", "torch", "-o", str(tmp_path / "out"), "--check", str(clip)]
    done = subprocess.run(
        [sys.executable, "-c", script, *command], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (1, "save-avs: writing: File too large\n")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--to", "tea"], "cannot export to 'tea': choose one of onnx, openvino, torch"),
        (["--to", "onnx", "--precision", "bf16"], "exports to onnx support fp32, not bf16"),
        (["--to", "torch", "--check", "none.mp4"], "no such file"),
    ],
)
def test_invalid_options_are_usage_errors(arguments, said, folder, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["export", str(folder), *arguments]) == 2
    assert said in capsys.readouterr().err
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_silent_video_is_rejected(folder, mute_video, tmp_path, capsys):
    where = ["-o", str(tmp_path / "out"), "--check", str(mute_video)]
    assert main(["export", str(folder), "--to", "torch", *where]) == 2
    assert "name a video with sound" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
