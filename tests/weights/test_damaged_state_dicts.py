"""Weight files, whatever is done to them: tensors, or a refusal in a line."""

from __future__ import annotations

import io
import json
import struct
import zipfile
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save

from save_avs.errors import SaveAvsError
from save_avs.weights.state_dict import read_state_dict
from tests.support.corruption import BOUNDED, VALUES, damaged, spoiled

STATE = {"a.weight": torch.arange(6.0).view(2, 3), "b": torch.ones(2, dtype=torch.int64)}
ENTRY = {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}
HEADER = {"a": ENTRY, "__metadata__": {"format": "pt"}}
KINDS = ["F8_E4M3", "F8_E5M2", "F8_E8M0", "F4", "F6_E2M3", "BF16", "C64", "BOOL", "U64", "I8"]


def torch_bytes(zipped: bool) -> bytes:
    out = io.BytesIO()
    torch.save(STATE, out, _use_new_zipfile_serialization=zipped)
    return out.getvalue()


FORMS = {"zip.pth": torch_bytes(True), "older.pth": torch_bytes(False), "w.safetensors": save(STATE)}


def read_or_refused(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    try:
        found = read_state_dict(path)
    except SaveAvsError as error:
        assert "\n" not in str(error)
    else:
        assert all(isinstance(key, str) and isinstance(value, torch.Tensor) for key, value in found.items())


@BOUNDED
@given(data=st.data(), name=st.sampled_from(sorted(FORMS)))
def test_damaged_files(tmp_path_factory, data, name):
    read_or_refused(tmp_path_factory.getbasetemp() / name, data.draw(damaged(FORMS[name])))


@BOUNDED
@given(
    content=st.binary(max_size=40), start=st.sampled_from([b"", b"PK\x03\x04", b"\x80\x02", b"\x80\x02}."])
)
def test_any_bytes(tmp_path_factory, start, content):
    for name in ("a.pth", "a.safetensors"):
        read_or_refused(tmp_path_factory.getbasetemp() / name, start + content)


@BOUNDED
@given(header=spoiled(HEADER) | st.sampled_from(KINDS).map(lambda kind: {"a": {**ENTRY, "dtype": kind}}))
def test_any_header(tmp_path_factory, header):
    text = json.dumps(header).encode()
    content = struct.pack("<Q", len(text)) + text + bytes(24)
    read_or_refused(tmp_path_factory.getbasetemp() / "h.safetensors", content)


@BOUNDED
@given(state=st.dictionaries(st.none() | st.integers() | st.text(max_size=5), VALUES, max_size=2))
def test_file_without_tensors_is_refused(tmp_path_factory, state):
    path = tmp_path_factory.getbasetemp() / "values.pth"
    torch.save({**state, "x": torch.ones(1)}, path)
    read_or_refused(path, path.read_bytes())


NUMBERS = st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), max_size=4)
STATES = st.dictionaries(st.text(min_size=1, max_size=4), NUMBERS.map(torch.tensor), max_size=3)


@BOUNDED
@given(state=STATES, name=st.sampled_from(sorted(FORMS)))
def test_saved_state_dict_is_read(tmp_path_factory, state, name):
    path = tmp_path_factory.getbasetemp() / name
    if path.suffix == ".safetensors":
        path.write_bytes(save(state))
    else:
        torch.save(state, path, _use_new_zipfile_serialization=name == "zip.pth")
    found = read_state_dict(path)
    assert found.keys() == state.keys()
    assert all(torch.equal(found[key], state[key]) for key in state)


def test_archive_with_overlapping_entries_is_refused(tmp_path):
    """A list of members that all lie in one place: each takes none of the file and all of its size."""
    torch.save({"a": torch.zeros(100_000)}, tmp_path / "w.pth")
    with zipfile.ZipFile(tmp_path / "w.pth", "a") as archive:
        big = next(member for member in archive.infolist() if member.filename.endswith("data/0"))
        archive.filelist += [big] * 100
        archive._didModify = True
    with pytest.raises(SaveAvsError, match="overlapping or compressed"):
        read_state_dict(tmp_path / "w.pth")


@pytest.mark.parametrize("zipped", [True, False])
def test_repeated_value_is_refused(tmp_path, zipped):
    """A tensor of a trillion values in one stored value: its strides are zero."""
    wide = torch.zeros(1).expand(10**12)
    torch.save({"a": wide}, tmp_path / "w.pth", _use_new_zipfile_serialization=zipped)
    with pytest.raises(SaveAvsError, match="declare 1,000,000,000,000 parameters"):
        read_state_dict(tmp_path / "w.pth")


def test_largest_values_are_finite(tmp_path):
    state = {
        "a": torch.full((9,), torch.finfo(torch.float16).max, dtype=torch.float16),
        "b": torch.full((9,), torch.finfo(torch.float32).max),
        "c": torch.zeros(0),
    }
    (tmp_path / "w.safetensors").write_bytes(save(state))
    assert read_state_dict(tmp_path / "w.safetensors").keys() == state.keys()


@pytest.mark.parametrize("kind", [torch.complex64, torch.float8_e4m3fn])
def test_unusual_floats_are_refused(tmp_path, kind):
    if kind.is_complex:
        pytest.importorskip("safetensors", minversion="0.7", reason="older ones do not write it")
    (tmp_path / "w.safetensors").write_bytes(save({"a": torch.zeros(2).to(kind)}))
    with pytest.raises(SaveAvsError, match="convert it to float32"):
        read_state_dict(tmp_path / "w.safetensors")


def test_overlong_header_is_refused_unread(tmp_path):
    path = tmp_path / "w.safetensors"
    length = 2**23
    path.write_bytes(struct.pack("<Q", length) + b"{" + b" " * (length - 2) + b"}")
    with pytest.raises(SaveAvsError, match="header declares 8,388,608 bytes"):
        read_state_dict(path)
