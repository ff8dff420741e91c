"""Untrusted YAML is checked before anything is built from it."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from save_avs.errors import UsageError
from save_avs.training.safe_yaml import read_yaml

BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{new}: &{new} [{','.join([f'*{old}'] * 9)}]\n" for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)


def refusal(path) -> str:
    with pytest.raises(UsageError) as error:
        read_yaml(path)
    assert str(error.value).startswith(f"{path}: ") and "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (BOMB, "alias *a: write the value itself"),
        ("a: " + "[" * 100, "deep"),
        ("a: &a {b: *a}", "alias *a"),
        ("a: *b", "alias *b"),
        ("a: " + "x" * 300_000, "larger than"),
        ("a: 'x", "quoted"),
        ("[1]", "not a mapping"),
        ("", "not a mapping"),
    ],
)
def test_unsafe_yaml_is_refused(tmp_path, text, why):
    (tmp_path / "a.yaml").write_text(text)
    assert why in refusal(tmp_path / "a.yaml")


def test_binary_or_missing_file_is_refused(tmp_path):
    (tmp_path / "a.yaml").write_bytes(b"a: \xff")
    assert "UTF-8" in refusal(tmp_path / "a.yaml")
    assert "no such file" in refusal(tmp_path)


@settings(max_examples=50, deadline=None)
@given(st.dictionaries(st.text(max_size=5), st.lists(st.integers() | st.text(max_size=5), max_size=4)))
def test_any_dumped_yaml_is_accepted(tmp_path_factory, values):
    path = tmp_path_factory.mktemp("yaml") / "a.yaml"
    path.write_text(yaml.safe_dump(values), encoding="utf-8")
    assert yaml.safe_load(read_yaml(path)) == values


@settings(max_examples=50, deadline=None)
@given(st.binary(max_size=60))
def test_any_bytes_are_accepted_or_a_one_line_error(tmp_path_factory, noise):
    path = tmp_path_factory.mktemp("noise") / "a.yaml"
    path.write_bytes(noise)
    try:
        read_yaml(path)
    except UsageError as error:
        assert "\n" not in str(error)
