"""What a file is by its bytes, and whether it is whole."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from save_avs.weights.file_check import WeightsFormat, detect_format, find_defect

STATE = {"a.weight": torch.arange(60.0).view(6, 10), "b": torch.ones(1)}


def make(folder: Path, form: WeightsFormat) -> Path:
    path = folder / ("w.safetensors" if form is WeightsFormat.SAFETENSORS else "w.pth")
    if form is WeightsFormat.SAFETENSORS:
        save_file(STATE, path, metadata={"format": "pt"})
    else:
        torch.save(STATE, path, _use_new_zipfile_serialization=form is WeightsFormat.TORCH_ZIP)
    return path


@pytest.mark.parametrize(
    "form", [WeightsFormat.SAFETENSORS, WeightsFormat.TORCH_ZIP, WeightsFormat.TORCH_LEGACY]
)
def test_complete_files_have_no_defect(tmp_path, form):
    path = make(tmp_path, form)
    assert detect_format(path) is form and find_defect(path) is None


@pytest.mark.parametrize("form", [WeightsFormat.SAFETENSORS, WeightsFormat.TORCH_ZIP])
def test_truncated_files_have_a_defect(tmp_path, form):
    path = make(tmp_path, form)
    whole = path.read_bytes()
    for length in range(0, len(whole), 1 if len(whole) < 500 else 11):
        path.write_bytes(whole[:length])
        assert find_defect(path), length


def test_safetensors_longer_than_its_header_states_has_a_defect(tmp_path):
    path = make(tmp_path, WeightsFormat.SAFETENSORS)
    whole = path.read_bytes()
    path.write_bytes(whole + b"more")
    assert find_defect(path) == f"it has {len(whole) + 4:,} bytes instead of the {len(whole):,} of its header"


def test_other_content_is_described(tmp_path):
    (tmp_path / "page.pth").write_text("<!DOCTYPE html><html>\nNot here</html>")
    assert (
        find_defect(tmp_path / "page.pth")
        == 'it is not a weight file but text ("<!DOCTYPE html><html> Not here</html>")'
    )
    (tmp_path / "noise.pth").write_bytes(bytes(range(200, 256)))
    assert find_defect(tmp_path / "noise.pth") == "it is not a weight file but other data"
    (tmp_path / "lfs.pth").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\n")
    assert "a Git LFS pointer" in str(find_defect(tmp_path / "lfs.pth"))


def test_file_named_json_must_be_json(tmp_path):
    (tmp_path / "config.json").write_text('{"a": 1}')
    assert find_defect(tmp_path / "config.json") is None
    (tmp_path / "config.json").write_text("<html>")
    assert find_defect(tmp_path / "config.json") == "it is not JSON"
    assert (
        find_defect(tmp_path / "config.json", "model.safetensors")
        == 'it is not a weight file but text ("<html>")'
    )
