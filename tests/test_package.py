"""The public API of the package."""

from __future__ import annotations

import inspect

import pytest

import save_avs
from save_avs import _extras
from save_avs.cli import main
from save_avs.cli._options import complete_models


@pytest.mark.parametrize("name", save_avs.__all__)
def test_public_name_exists(name):
    assert getattr(save_avs, name) is not None


def test_dir_is_the_public_api():
    import save_avs.inference.pipeline  # submodules become attributes of the package

    assert dir(save_avs) == sorted(save_avs.__all__)


def test_public_names_have_the_expected_kind():
    assert inspect.isfunction(save_avs.segment) and inspect.isfunction(save_avs.load_model)
    assert inspect.ismodule(save_avs.models.sam) and callable(save_avs.models.sam.load_sam)
    assert callable(save_avs.audio.log_mel) and callable(save_avs.audio.load_vggish)


def test_unknown_name_raises_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = save_avs.nonsense


def test_missing_data_says_how_to_install_it(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(_extras, "__file__", str(tmp_path / "site" / "save_avs" / "_extras.py"))
    monkeypatch.setattr(_extras, "find_spec", lambda name: None)
    assert main(["segment", __file__, "--model", "save-tiny"]) == 2
    assert "pip install ./packages/save-avs-models" in capsys.readouterr().err
    assert complete_models("") == []
