"""Untrusted pickles: plain values are read, and nothing else."""

from __future__ import annotations

import os
import pickle
import struct

import numpy as np
import pytest
import torch

from save_avs.datasets.clip_files import MAX_PICKLE_BYTES, read_plain_pickle
from save_avs.errors import DataError


class Call:
    """Pickles as a call of a function."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
def test_plain_values_are_read(tmp_path, protocol):
    value = {7: ["a", ("b", 1)], "x": {"y": None, "z": 1.5}}
    (tmp_path / "x.pkl").write_bytes(pickle.dumps(value, protocol=protocol))
    assert read_plain_pickle(tmp_path / "x.pkl") == value


@pytest.mark.parametrize(
    "value",
    [torch.zeros(1), Call(os.getcwd), [Call(print, "x")], np.float64(1)],
    ids=["tensor", "call", "nested", "numpy"],
)
def test_pickle_that_names_a_global_is_refused(tmp_path, value):
    (tmp_path / "x.pkl").write_bytes(pickle.dumps(value))
    with pytest.raises(DataError, match=r"x\.pkl: .*, which is never run"):
        read_plain_pickle(tmp_path / "x.pkl")


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_pickled_code_is_never_run(tmp_path, protocol):
    harm = tmp_path / "harm"
    (tmp_path / "x.pkl").write_bytes(pickle.dumps(Call(os.system, f"touch {harm}"), protocol=protocol))
    with pytest.raises(DataError, match=r"it names posix\.system"):
        read_plain_pickle(tmp_path / "x.pkl")
    assert not harm.exists()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"text",
        b"\x80\x02torn",
        b"\x80\x02.",
        b"\x80\x02K\x01r" + struct.pack("<I", 2**31) + b".",  # a memo slot that would reserve gigabytes
        b"\x80\x04\x8e" + struct.pack("<Q", 2**40) + b"x.",  # a string longer than the file
        *(pickle.dumps({7: ["d0"]}, protocol=2)[:end] for end in range(1, 20, 3)),
    ],
)
def test_damaged_pickle_is_one_line(tmp_path, content):
    (tmp_path / "x.pkl").write_bytes(content)
    with pytest.raises(DataError, match=r"x\.pkl: cannot be read as a pickle") as caught:
        read_plain_pickle(tmp_path / "x.pkl")
    assert "\n" not in str(caught.value)


def test_pickle_over_the_size_limit_is_refused(tmp_path):
    with (tmp_path / "x.pkl").open("wb") as file:
        file.truncate(MAX_PICKLE_BYTES + 1)
    with pytest.raises(DataError, match="larger than 64 MiB"):
        read_plain_pickle(tmp_path / "x.pkl")


def test_missing_pickle_is_named(tmp_path):
    with pytest.raises(DataError, match=r"x\.pkl: missing"):
        read_plain_pickle(tmp_path / "x.pkl")
