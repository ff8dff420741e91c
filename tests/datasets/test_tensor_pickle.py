"""Pickles of strangers."""

from __future__ import annotations

import io
import os
import pickle
import struct
import zipfile

import numpy as np
import pytest
import torch

from save_avs.datasets.tensor_pickle import MAX_BYTES, read_plain_pickle, read_tensor_pickle
from save_avs.errors import DataError

# torch warns of its own old ways, which are what is tested
pytestmark = pytest.mark.filterwarnings("ignore:TypedStorage", "ignore:Detected pickle protocol")

PATCHES = torch.arange(2 * 96 * 64, dtype=torch.float32).reshape(2, 1, 96, 64)


class Call:
    """Pickles as a call of a function."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def saved(value, **how) -> bytes:
    out = io.BytesIO()
    torch.save(value, out, **how)
    return out.getvalue()


def refuse(path, match: str) -> None:
    with pytest.raises(DataError, match=match) as caught:
        read_tensor_pickle(path)
    assert "\n" not in str(caught.value) and str(caught.value).startswith(str(path))


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_a_pickled_tensor(tmp_path, protocol):
    (tmp_path / "x.pkl").write_bytes(pickle.dumps(PATCHES, protocol=protocol))
    read = read_tensor_pickle(tmp_path / "x.pkl")
    assert read.dtype == np.float32 and np.array_equal(read, PATCHES.numpy())


@pytest.mark.parametrize("new", [False, True], ids=["legacy", "zip"])
def test_a_file_of_torch_save(tmp_path, new):
    (tmp_path / "x.pkl").write_bytes(saved(PATCHES, _use_new_zipfile_serialization=new))
    assert np.array_equal(read_tensor_pickle(tmp_path / "x.pkl"), PATCHES.numpy())


@pytest.mark.parametrize("new", [False, True], ids=["legacy", "zip"])
def test_a_pickled_tensor_whose_storage_is_either_format(tmp_path, new):
    storage = saved(PATCHES.storage(), _use_new_zipfile_serialization=new)
    inner = Call(torch.storage._load_from_bytes, storage)
    outer = Call(torch._utils._rebuild_tensor_v2, inner, 0, (2, 1, 96, 64), (6144, 6144, 64, 1), False, {})
    (tmp_path / "x.pkl").write_bytes(pickle.dumps(outer))
    assert np.array_equal(read_tensor_pickle(tmp_path / "x.pkl"), PATCHES.numpy())


def test_parts_of_a_storage_and_other_precisions(tmp_path):
    for tensor in (PATCHES[1:], PATCHES.transpose(2, 3), PATCHES.double(), PATCHES.half()):
        (tmp_path / "x.pkl").write_bytes(pickle.dumps(tensor))
        read = read_tensor_pickle(tmp_path / "x.pkl")
        assert read.dtype == np.float32 and np.array_equal(read, tensor.float().numpy())


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_code_is_never_run(tmp_path, protocol):
    harm = tmp_path / "harm"
    (tmp_path / "x.pkl").write_bytes(pickle.dumps(Call(os.system, f"touch {harm}"), protocol=protocol))
    refuse(tmp_path / "x.pkl", "it names posix.system, which is never run here")
    assert not harm.exists()


@pytest.mark.parametrize("new", [None, False, True], ids=["bare", "legacy", "zip"])
def test_code_nested_inside_load_from_bytes_is_never_run(tmp_path, new):
    harm = tmp_path / "harm"
    evil = Call(os.system, f"touch {harm}")
    inner = pickle.dumps(evil) if new is None else saved(evil, _use_new_zipfile_serialization=new)
    (tmp_path / "x.pkl").write_bytes(pickle.dumps(Call(torch.storage._load_from_bytes, inner)))
    refuse(tmp_path / "x.pkl", "not read as a pickle")
    assert not harm.exists()
    (tmp_path / "y.pkl").write_bytes(inner)
    refuse(tmp_path / "y.pkl", "not read as a pickle")
    assert not harm.exists()


@pytest.mark.parametrize(
    ("offset", "size", "stride"),
    [
        (0, (10**12,), (1,)),
        (0, (10**6, 10**6), (0, 0)),
        (5, (4,), (1,)),
        (-1, (4,), (1,)),
        (0, (4,), (2,)),
        (0, (-4,), (1,)),
        (0, (4, 1), (1,)),
        (0, (1.0,), (1,)),
        (0, (True,), (1,)),
    ],
)
def test_a_tensor_beyond_its_storage_is_refused(tmp_path, offset, size, stride):
    inner = Call(torch.storage._load_from_bytes, saved(torch.zeros(4).storage()))
    outer = Call(torch._utils._rebuild_tensor_v2, inner, offset, size, stride, False, {})
    (tmp_path / "x.pkl").write_bytes(pickle.dumps(outer))
    refuse(tmp_path / "x.pkl", "its tensor is larger than its storage")


def test_a_tensor_over_something_else_than_a_storage_is_refused(tmp_path):
    outer = Call(torch._utils._rebuild_tensor_v2, {}, 0, (1,), (1,), False, {})
    (tmp_path / "x.pkl").write_bytes(pickle.dumps(outer))
    refuse(tmp_path / "x.pkl", "its tensor lies over no storage")


def test_a_slot_that_would_reserve_gigabytes_is_refused(tmp_path):
    bomb = b"\x80\x02K\x01r" + struct.pack("<I", 2**31) + b"."
    (tmp_path / "x.pkl").write_bytes(bomb)
    refuse(tmp_path / "x.pkl", "damaged")


def test_a_text_of_a_length_that_is_not_there_is_refused(tmp_path):
    (tmp_path / "x.pkl").write_bytes(b"\x80\x04\x8e" + struct.pack("<Q", 2**40) + b"x.")
    refuse(tmp_path / "x.pkl", "not read as a pickle")


def test_a_file_larger_than_any_of_the_benchmark_is_refused_unread(tmp_path):
    with (tmp_path / "x.pkl").open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    refuse(tmp_path / "x.pkl", "larger than 64 MiB")


def test_a_zip_that_unpacks_to_gigabytes_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.pkl", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data/0", bytes(MAX_BYTES + 1))
    assert (tmp_path / "x.pkl").stat().st_size < 1 << 20
    refuse(tmp_path / "x.pkl", "unpacks to more than 64 MiB")


@pytest.mark.parametrize("value", [{"a": 1}, [PATCHES], "text", torch.arange(3), None, 1.5])
def test_anything_but_a_tensor_of_real_numbers_is_refused(tmp_path, value):
    (tmp_path / "x.pkl").write_bytes(pickle.dumps(value))
    refuse(tmp_path / "x.pkl", "holds no tensor of real numbers")


@pytest.mark.parametrize("content", [b"", b"text", b"\x80\x02torn", b"PK\x03\x04torn", b"\x80\x02."])
def test_damage_is_one_line(tmp_path, content):
    (tmp_path / "x.pkl").write_bytes(content)
    refuse(tmp_path / "x.pkl", "not read as a pickle")


def test_every_cut_of_a_good_file_is_one_line(tmp_path):
    good = pickle.dumps(torch.zeros(1, 1, 2, 2), protocol=2)
    for end in range(0, len(good), 7):
        (tmp_path / "x.pkl").write_bytes(good[:end])
        refuse(tmp_path / "x.pkl", "not read as a pickle")


def test_a_missing_file(tmp_path):
    refuse(tmp_path / "x.pkl", "missing")


def test_plain_values(tmp_path):
    value = {7: ["a", ("b", 1)], "x": {"y": None, "z": 1.5}}
    (tmp_path / "x.pkl").write_bytes(pickle.dumps(value))
    assert read_plain_pickle(tmp_path / "x.pkl") == value


@pytest.mark.parametrize("value", [PATCHES, Call(os.getcwd), Call(print, "x"), np.float64(1)])
def test_plain_values_are_all_that_is_read(tmp_path, value):
    (tmp_path / "x.pkl").write_bytes(pickle.dumps(value))
    with pytest.raises(DataError, match="which is never run here"):
        read_plain_pickle(tmp_path / "x.pkl")
