"""Reading weight files: only tensors come out, and a bad file is a one-line error."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from save_avs.errors import SaveAvsError, UsageError
from save_avs.weights.state_dict import read_state_dict

STATE = {"a.weight": torch.arange(6.0).view(2, 3), "b": torch.ones(1)}
OLDER = {"_use_new_zipfile_serialization": False}


class Evil:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self):
        return os.mkdir, (str(self.trace),)


def refusal(path: Path) -> str:
    """The line with which a file is refused."""
    with pytest.raises(SaveAvsError) as error:
        read_state_dict(path)
    assert "\n" not in str(error.value)
    assert str(path) in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("name", ["w.safetensors", "w.pth", "w.bin"])
def test_tensors_are_read_back(tmp_path: Path, name: str) -> None:
    (save_file if name.endswith("safetensors") else torch.save)(STATE, tmp_path / name)
    found = read_state_dict(str(tmp_path / name))
    assert found.keys() == STATE.keys()
    assert all(torch.equal(found[key], STATE[key]) for key in STATE)


@pytest.mark.parametrize("nest", ["model", "state_dict"])
def test_a_nested_state_dict_is_taken_out(tmp_path: Path, nest: str) -> None:
    torch.save({nest: STATE, "epoch": 3}, tmp_path / "w.pth")
    assert read_state_dict(tmp_path / "w.pth").keys() == STATE.keys()


def test_the_first_of_a_tuple_is_taken_out(tmp_path: Path) -> None:
    """aiSFX's file holds its weights, and the numbers of classes of its training sets as NumPy scalars."""
    torch.save((STATE, {"UCS": (0, np.int64(81))}), tmp_path / "w.pth", **OLDER)
    assert b"scalar" in (tmp_path / "w.pth").read_bytes()
    assert read_state_dict(tmp_path / "w.pth").keys() == STATE.keys()


@pytest.mark.parametrize("module", ["numpy._core.multiarray", "numpy.core.multiarray"])
def test_plain_arrays_next_to_the_tensors_are_accepted(tmp_path: Path, module: str) -> None:
    """PANNs' files hold the state of the sampler that drew their batches."""
    arrays = [np.arange(3), np.zeros((2, 2), np.float32), np.ones(2, bool)]
    sampler = {"indexes": arrays, "queue": [1, 2]}
    torch.save({"iteration": 3, "model": STATE, "sampler": sampler}, tmp_path / "w.pth", **OLDER)
    content, own = (tmp_path / "w.pth").read_bytes(), np.empty(0).__reduce__()[0].__module__
    assert own.encode() in content
    (tmp_path / "w.pth").write_bytes(content.replace(own.encode(), module.encode()))
    found = read_state_dict(tmp_path / "w.pth")
    assert all(torch.equal(found[key], STATE[key]) for key in STATE)


def test_an_array_of_objects_runs_nothing(tmp_path: Path) -> None:
    array = np.array([Evil(tmp_path / "trace")], dtype=object)
    torch.save({"model": STATE, "sampler": array}, tmp_path / "w.pth")
    assert "pickled code" in refusal(tmp_path / "w.pth")
    assert not (tmp_path / "trace").exists()


def test_a_folder_prefers_safetensors(tmp_path: Path) -> None:
    torch.save({"old": torch.zeros(1)}, tmp_path / "pytorch_model.bin")
    assert read_state_dict(tmp_path).keys() == {"old"}
    save_file(STATE, tmp_path / "model.safetensors")
    assert read_state_dict(tmp_path).keys() == STATE.keys()


@pytest.mark.parametrize("zipped", [True, False])
def test_pickled_code_is_refused_and_not_run(tmp_path: Path, zipped: bool) -> None:
    trace = tmp_path / "trace"
    torch.save({**STATE, "x": Evil(trace)}, tmp_path / "evil.pth", _use_new_zipfile_serialization=zipped)
    assert "pickled code" in refusal(tmp_path / "evil.pth")
    assert not trace.exists()


def test_file_that_is_not_weights_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text.pth").write_text("hello, these are no weights\n")
    (tmp_path / "empty.pth").write_bytes(b"")
    (tmp_path / "text.safetensors").write_text("hello, these are no weights\n")
    torch.save({"epoch": 3}, tmp_path / "other.pth")
    assert "not a weight file but text" in refusal(tmp_path / "text.pth")
    assert "not a weight file but empty" in refusal(tmp_path / "empty.pth")
    assert "not a weight file but text" in refusal(tmp_path / "text.safetensors")
    assert "contains no state dict" in refusal(tmp_path / "other.pth")


OPCODES = {
    "a call by name": b"cos\nsystem\n(S'true'\ntR.",
    "a call by name from the stack": b"\x8c\x02os\x8c\x06system\x93\x8c\x04true\x85R.",
    "an object built": b"(ibuiltins\neval\n.",
    "exec": b"c__builtin__\nexec\n(S'import os'\ntR.",
    "torch's own loader": b"ctorch.serialization\nload\n(S'x'\ntR.",
}


@pytest.mark.parametrize("code", OPCODES.values(), ids=OPCODES)
@pytest.mark.parametrize("zipped", [True, False])
def test_handwritten_pickle_code_is_refused(tmp_path: Path, code: bytes, zipped: bool) -> None:
    path = tmp_path / "evil.pth"
    if zipped:
        torch.save(STATE, path)
        with zipfile.ZipFile(path) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
        with zipfile.ZipFile(path, "w") as archive:
            for name, data in members.items():
                archive.writestr(name, b"\x80\x02" + code if name.endswith("data.pkl") else data)
    else:
        torch.save(STATE, path, _use_new_zipfile_serialization=False)
        whole = path.read_bytes()
        magic = whole[: whole.index(b".") + 1]  # the first of the row of pickles
        path.write_bytes(magic + b"\x80\x02M\xe9\x03." + b"\x80\x02}." + b"\x80\x02" + code)
    line = refusal(path)
    assert "pickled code" in line or "damaged" in line


@pytest.mark.parametrize("form", ["zip", "old torch format", "safetensors"])
@pytest.mark.parametrize("share", [0.9999, 0.95, 0.7, 0.5, 0.1, 0.01, 0.001])
def test_truncated_file_is_refused(tmp_path: Path, form: str, share: float) -> None:
    path = tmp_path / ("w.safetensors" if form == "safetensors" else "w.pth")
    weights = {"a": torch.zeros(10_000)}
    if form == "safetensors":
        save_file(weights, path)
    else:
        torch.save(weights, path, _use_new_zipfile_serialization=form == "zip")
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    assert "fetch it again" in refusal(path)


@pytest.mark.parametrize("form", ["zip", "old torch format", "safetensors"])
def test_file_truncated_anywhere_is_refused_in_one_line(tmp_path: Path, form: str) -> None:
    path = tmp_path / ("w.safetensors" if form == "safetensors" else "w.pth")
    if form == "safetensors":
        save_file(STATE, path)
    else:
        torch.save(STATE, path, _use_new_zipfile_serialization=form == "zip")
    whole = path.read_bytes()
    for length in range(0, len(whole), 1 if len(whole) < 500 else 7):
        path.write_bytes(whole[:length])
        refusal(path)


def test_compressed_archive_is_refused_before_it_is_read(tmp_path: Path) -> None:
    torch.save(STATE, tmp_path / "w.pth")
    with zipfile.ZipFile(tmp_path / "w.pth") as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(tmp_path / "bomb.pth", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, bytes(100_000_000) if name.endswith("data/0") else data)
    assert (tmp_path / "bomb.pth").stat().st_size < 1_000_000
    assert "compressed" in refusal(tmp_path / "bomb.pth")


def test_git_lfs_pointer_is_named(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\n")
    assert "git lfs pull" in refusal(tmp_path / "model.safetensors")


def test_paths_that_do_not_exist_are_wrong_usage(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such file"):
        read_state_dict(tmp_path / "none.pth")
    os.mkfifo(tmp_path / "pipe.pth")
    with pytest.raises(UsageError, match="not a file"):
        read_state_dict(tmp_path / "pipe.pth")
    with pytest.raises(UsageError, match=r"none of model\.safetensors, pytorch_model\.bin"):
        read_state_dict(tmp_path)
