"""The names that `import save_avs` offers."""

from __future__ import annotations

import inspect

import pytest

import save_avs


@pytest.mark.parametrize("name", save_avs.__all__)
def test_every_public_name_is_there(name):
    assert getattr(save_avs, name) is not None
    assert name in dir(save_avs)


def test_names_are_what_they_say():
    assert inspect.isfunction(save_avs.segment) and inspect.isfunction(save_avs.load_model)
    assert inspect.ismodule(save_avs.models.sam) and callable(save_avs.models.sam.load_sam)
    assert callable(save_avs.audio.log_mel) and callable(save_avs.audio.load_vggish)


def test_other_names_are_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = save_avs.nonsense
