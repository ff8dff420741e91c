"""Weight files and model folders: torn, damaged, with code in them, of wrong shapes, blown up."""

from __future__ import annotations

import io
import json
import os
import pickle
import shutil
import struct
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from tests.support.hostile.byte_damage import cuts, flips, holes
from tests.support.hostile.case import Case, Make, every, written
from tests.support.hostile.valid_inputs import STATE, WEIGHTS, model, video, weights

TRACE = "hacked"  # what code that is run leaves beside the output folder


def cases() -> Iterator[Case]:
    """All of them."""
    yield from every(_torn(), 40)
    yield from every(_with_code(), 8)
    yield from every(_bombs(), 5)
    yield from every(_models(), 9)


def _convert(made: Path, out: Path) -> list[str]:
    return ["weights", "convert", str(made), str(out / "w.safetensors")]


def _segment(made: Path, out: Path) -> list[str]:
    how = ["--device", "cpu", "--precision", "fp32", "--save", "masks"]
    return ["segment", str(made / "v.mp4"), "-o", str(out), "--model", str(made), *how]


def _file(what: str, content: bytes, suffix: str = "pth") -> Case:
    return Case(f"weights/{what}", written(f"w.{suffix}", content), _convert, (1, 3))


def _torn() -> Iterator[Case]:
    for form in WEIGHTS:
        suffix, whole = "safetensors" if form == "safetensors" else "pth", weights(form)
        for how, content in (*cuts(whole), *flips(whole, 3), *flips(whole, 2, within=200), *holes(whole)):
            yield _file(f"{form} {how}", content, suffix)
    for name in ("v.mp4", "v.gif"):
        yield _file(f"a video, {name}", video(name))
    yield _file("nothing", b"")
    yield _file("nothing, as safetensors", b"", "safetensors")
    yield _file("a pointer of Git LFS", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")


class Code:
    """Makes a folder beside the output when it is unpickled."""

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return os.mkdir, (f"../{TRACE}",)


def _with_code() -> Iterator[Case]:
    spelled = {
        "a call": pickle.dumps(Code()),
        "a call, protocol 0": pickle.dumps(Code(), protocol=0),
        "a call, protocol 5": pickle.dumps(Code(), protocol=5),
        "eval": b'cbuiltins\neval\n(S\'__import__("os").mkdir("../hacked")\'\ntR.',
        "exec by instance": b"(S'import os; os.mkdir(\"../hacked\")'\ni__builtin__\nexec\n.",
        "getattr": b"cbuiltins\ngetattr\n(cos\nsystem\nS'__call__'\ntR.",
        "torch's own loader": b"ctorch.storage\n_load_from_bytes\n(Ctorch\ntR.",
        "a global of numpy": b"cnumpy.testing._private.utils\nrunstring\n(S'import os'\n}tR.",
        "an extension": b"\x82\x01.",
    }
    for what, code in spelled.items():
        yield _file(f"{what}, bare", code)
        yield _file(f"{what}, in a zip", _zipped({"archive/data.pkl": code, "archive/version": b"3"}))
    for zipped in (True, False):
        out = io.BytesIO()
        torch.save({**STATE, "x": Code()}, out, _use_new_zipfile_serialization=zipped)
        yield _file(f"a call beside tensors, {'zip' if zipped else 'older'}", out.getvalue())
    script = _zipped(
        {"archive/data.pkl": b"}.", "archive/code/__torch__.py": b"import os", "archive/constants.pkl": b")."}
    )
    yield _file("a program of TorchScript", script)


def _zipped(members: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return out.getvalue()


def _bombs() -> Iterator[Case]:
    with zipfile.ZipFile(io.BytesIO(weights("zip"))) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    root = next(iter(members)).partition("/")[0]
    for what, member in (("storage", f"{root}/data/0"), ("pickle", f"{root}/data.pkl")):
        yield Case(f"weights/a {what} that unpacks to 2 GiB", _blown(members, member), _convert, (1, 3))
    outside = {
        f"{root}/../../hacked" if name.endswith("data/0") else name: data for name, data in members.items()
    }
    yield _file("a member that leads out", _zipped(outside))
    for count in (10**9, 2**62, -1):
        yield _file(
            f"a storage of {count} numbers",
            _zipped({**members, f"{root}/data.pkl": _of_size(members[f"{root}/data.pkl"], count)}),
        )
    yield _file("a slot of the memo far away", b"\x80\x02}r\xff\xff\xff\x7f.")
    yield _file("a text of 4 GB that is not there", b"\x80\x02X\xff\xff\xff\xff.")
    yield _file("bytes of 2^62 that are not there", b"\x80\x04\x8e" + struct.pack("<Q", 1 << 62) + b".")
    yield _file("lists in lists in lists", b"\x80\x02" + b"]" * 200_000 + b"a" * 199_999 + b".")
    for what, header in {
        "a header of 2^63 bytes": struct.pack("<Q", 1 << 63) + b"{}",
        "a header of 90 MB that is not there": struct.pack("<Q", 90_000_000) + b"{}",
        "a header that nests": _header(b'{"a":' * 100_000 + b"1" + b"}" * 100_000),
        "a tensor of 10^18 numbers": _header(json.dumps({"a": _entry([10**9, 10**9], [0, 4])}).encode())
        + bytes(4),
        "a tensor beyond the end": _header(json.dumps({"a": _entry([1000], [0, 4000])}).encode()) + bytes(4),
        "a tensor that ends before it begins": _header(json.dumps({"a": _entry([1], [4, 0])}).encode())
        + bytes(4),
        "tensors over each other": _header(json.dumps({k: _entry([1], [0, 4]) for k in "ab"}).encode())
        + bytes(4),
        "a tensor of no known numbers": _header(
            json.dumps({"a": {**_entry([1], [0, 4]), "dtype": "X9"}}).encode()
        )
        + bytes(4),
        "a name twice": _header(
            b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},' * 1
            + b'"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'
        )
        + bytes(4),
        "a list for a header": _header(b"[1, 2]"),
        "no tensors": _header(b"{}"),
    }.items():
        yield _file(f"safetensors with {what}", header, "safetensors")


def _blown(members: dict[str, bytes], name: str) -> Make:
    """An archive one member of which is 2 GiB of zeros."""

    def make(folder: Path) -> Path:
        path = folder / "w.pth"
        zeros = bytes(16 << 20)
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
            for other, content in members.items():
                if other != name:
                    archive.writestr(other, content)
            with archive.open(name, "w", force_zip64=True) as member:
                for _ in range((2 << 30) // len(zeros)):
                    member.write(zeros)
        return path

    return make


def _of_size(code: bytes, count: int) -> bytes:
    """A pickle whose first storage says that it has so many numbers."""
    spelled = pickle.dumps(count, protocol=2)[2:-1]
    return code.replace(pickle.dumps(600, protocol=2)[2:-1], spelled, 1)


def _entry(shape: list[int], ends: list[int]) -> dict[str, object]:
    return {"dtype": "F32", "shape": shape, "data_offsets": ends}


def _header(text: bytes) -> bytes:
    return struct.pack("<Q", len(text)) + text


def _models() -> Iterator[Case]:
    def stored(
        what: str, change: Callable[[dict[str, torch.Tensor]], None], codes: tuple[int, ...] = (1, 3)
    ) -> Case:
        def make(folder: Path) -> Path:
            state = load_file(_copied(folder) / "model.safetensors")
            change(state)
            save_file(state, folder / "model.safetensors")
            return folder

        return Case(f"weights/a model {what}", make, _segment, codes)

    def declared(what: str, change: Callable[[dict], None], codes: tuple[int, ...] = (1, 2, 3)) -> Case:
        def make(folder: Path) -> Path:
            config = _copied(folder) / "config.json"
            values = json.loads(config.read_text())
            change(values)
            config.write_text(json.dumps(values))
            return folder

        return Case(f"weights/a model {what}", make, _segment, codes)

    def spelled(what: str, content: bytes) -> Case:
        return Case(f"weights/a config {what}", _configured(content), _segment, (1, 2))

    first = "sam.image_encoder.pos_embed"
    yield stored("as it should be", lambda state: None, (0,))
    yield stored("that lacks a tensor", lambda state: state.pop(next(iter(state))))
    yield stored("with a tensor more", lambda state: state.update(more=torch.ones(3)))
    yield stored(
        "with a tensor of another shape", lambda state: state.update({_key(state, first): torch.ones(3, 4)})
    )
    yield stored("with an empty tensor", lambda state: state.update({_key(state, first): torch.ones(0)}))
    yield stored(
        "of whole numbers",
        lambda state: state.update({k: v.to(torch.int64) for k, v in state.items()}),
        (0, 1, 3),
    )
    yield stored(
        "of no numbers",
        lambda state: state.update({k: v * float("nan") for k, v in state.items() if v.is_floating_point()}),
        (1,),
    )
    yield stored(
        "of infinite numbers",
        lambda state: state.update({k: v / 0 for k, v in state.items() if v.is_floating_point()}),
        (1,),
    )
    yield stored("without tensors", lambda state: state.clear())
    for size in (0, -64, 1, 65, 10**6, 10**12, 10**30, "64", None, 64.5):
        yield declared(
            f"for images of {size}",
            lambda config, s=size: config.update(image_size=s),
            (0, 1, 2, 3) if size == "64" else (1, 2, 3),
        )
    for key, value in (
        ("depth", 10**9),
        ("embed_dim", 10**9),
        ("num_heads", 7),
        ("window_size", 10**9),
        ("mlp_ratio", 1e300),
        ("global_attn_indexes", [99]),
        ("prompt_embed_dim", 10**8),
    ):
        yield declared(
            f"whose SAM has {key} {value}",
            lambda config, k=key, v=value: config["sam"].update({k: v}),
            (0, 1, 2, 3),
        )
    yield declared("with an audio backbone of no known name", lambda config: config.update(audio="../../x"))
    yield declared("with a key that no model has", lambda config: config.update({"__class__": "os.system"}))
    yield declared("with 10^5 classes", lambda config: config.update(classes=["x"] * 10**5), (0, 1, 2, 3))
    yield declared("whose name leads out", lambda config: config.update(name="../../hacked"), (0, 1, 2, 3))
    yield declared(
        "that stands on a base elsewhere",
        lambda config: config.update(
            pretrained={"sam": {"name": "../../etc/passwd", "size": 1, "sha256": "0" * 64}}
        ),
    )
    yield spelled("of nothing", b"")
    yield spelled("that nests", b"[" * 100_000)
    yield spelled("that nests and closes", b'{"sam":' * 50_000 + b"1" + b"}" * 50_000)
    yield spelled("in another encoding", b"\xff\xfe{\0}\0")
    yield spelled("that is a list", b"[]")
    yield spelled("with a number of 10^5 digits", b'{"image_size": ' + b"9" * 100_000 + b"}")
    yield spelled("that is no number", b'{"image_size": NaN}')
    yield Case("weights/a model whose config is a folder", _config_folder, _segment, (1, 2, 3))
    yield Case("weights/a model whose weights are a folder", _weights_folder, _segment, (1, 2, 3))
    yield Case("weights/a model whose weights are a pipe", _weights_pipe, _segment, (1, 2, 3))


def _key(state: dict[str, torch.Tensor], wanted: str) -> str:
    return wanted if wanted in state else next(iter(state))


def _copied(folder: Path) -> Path:
    shutil.copytree(model(), folder, dirs_exist_ok=True)
    (folder / "v.mp4").write_bytes(video("v.mp4"))
    return folder


def _configured(content: bytes) -> Make:
    def make(folder: Path) -> Path:
        (_copied(folder) / "config.json").write_bytes(content)
        return folder

    return make


def _config_folder(folder: Path) -> Path:
    (_copied(folder) / "config.json").unlink()
    (folder / "config.json").mkdir()
    return folder


def _weights_folder(folder: Path) -> Path:
    (_copied(folder) / "model.safetensors").unlink()
    (folder / "model.safetensors").mkdir()
    return folder


def _weights_pipe(folder: Path) -> Path:
    (_copied(folder) / "model.safetensors").unlink()
    os.mkfifo(folder / "model.safetensors")
    return folder
