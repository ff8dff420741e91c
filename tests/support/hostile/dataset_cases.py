"""Data sets, shards and corpora on disk, in which one file is not what it should be."""

from __future__ import annotations

import csv
import io
import json
import os
import pickle
import shutil
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

from save_avs.datasets.registry import open_dataset
from save_avs.datasets.shards import write_shards
from tests.support import dataset_trees as trees
from tests.support.hostile.byte_damage import cuts, flips
from tests.support.hostile.case import Case, every
from tests.support.hostile.media_damage import _png
from tests.support.hostile.valid_inputs import image, model, shelf, video
from tests.support.hostile.weight_cases import Code
from tests.support.tiny_corpus import make_corpus

Break = Callable[[Path], object]  # what is done to a file
FINE, WRONG_USE, FAULTY = 0, 2, 3


def cases() -> Iterator[Case]:
    """All of them."""
    yield from every(_trees(), 17)
    yield from every(_tables(), 14)
    yield from every(_shards(), 15)
    yield from every(_corpora(), 23)


def _check(name: str) -> Callable[[Path, Path], list[str]]:
    return lambda made, out: ["data", "check", str(made), "--data", name, "-o", str(out)]


def _compose(made: Path, out: Path) -> list[str]:
    how = ["--scenes", "1", "--device", "cpu", "--split", "test", "-o", str(out)]
    return ["eval", str(model()), "--corpus", str(made), *how]


@cache
def _whole(kind: str) -> Path:
    """A tree as it should be."""
    root = shelf() / f"tree-{kind}"
    root.mkdir()
    match kind:
        case "shards":
            splits = [open_dataset("ms3", _whole("ms3"), split) for split in ("train", "test")]
            return write_shards(splits, root / "shards", shard_bytes=10**9)
        case "corpus":
            return make_corpus(root)
        case _:
            return getattr(trees, kind)(root)


def _broken(kind: str, pattern: str, how: Break) -> Callable[[Path], Path]:
    """A tree in which something is done to the first file that fits a pattern."""

    def make(folder: Path) -> Path:
        shutil.copytree(_whole(kind), folder, dirs_exist_ok=True)
        how(sorted(folder.glob(pattern))[0])
        return folder

    return make


def _filled(content: bytes) -> Break:
    return lambda path: path.write_bytes(content)


def _instead(make: Break) -> Break:
    def change(path: Path) -> None:
        path.unlink()
        make(path)

    return change


WAYS: dict[str, Break] = {
    "missing": Path.unlink,
    "empty": _filled(b""),
    "text": _filled(b"<html>404</html>"),
    "zeros": _filled(bytes(100_000)),
    "a pickle with code": _filled(pickle.dumps(Code())),
    "a video": lambda path: path.write_bytes(video("v.mp4")),
    "a large image": lambda path: path.write_bytes(_png(60_000, 60_000)),
    "cut in half": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "damaged": lambda path: path.write_bytes(next(flips(path.read_bytes(), 1))[1]),
    "a folder": _instead(Path.mkdir),
    "a pipe": _instead(os.mkfifo),
    "a link to itself": _instead(lambda path: path.symlink_to(path)),
    "a device without an end": _instead(lambda path: path.symlink_to("/dev/zero")),
}


def _trees() -> Iterator[Case]:
    yield Case("tree/as it should be", lambda folder: _copy("s4", folder), _check("s4"), (FINE, FAULTY))
    files = {
        "a table": "Single-source/*.csv",
        "a frame": "**/visual_frames/**/*.png",
        "a mask": "**/gt_masks/**/*.png",
        "a sound": "**/*.wav",
    }
    for file, pattern in files.items():
        for way, how in WAYS.items():
            yield Case(
                f"tree/{file}: {way}", _broken("s4", pattern, how), _check("s4"), (FINE, WRONG_USE, FAULTY)
            )
    for what, how in (
        ("a wave of another rate", _filled(_wave(sample_rate=1, seconds=1))),
        ("a wave of 4 GB that is not there", _filled(_wave(declared=0xFFFFFFF0))),
        ("a wave of 255 channels", _filled(_wave(channels=255))),
        ("a wave of no channels", _filled(_wave(channels=0))),
    ):
        yield Case(f"tree/{what}", _broken("s4", "**/*.wav", how), _check("s4"), (FINE, FAULTY))
    yield Case("tree/nothing", lambda folder: folder, _check("s4"), (WRONG_USE,))
    yield Case("tree/not there", lambda folder: folder / "none", _check("s4"), (WRONG_USE,))


def _copy(kind: str, folder: Path) -> Path:
    shutil.copytree(_whole(kind), folder, dirs_exist_ok=True)
    return folder


def _wave(
    *, sample_rate: int = 16000, channels: int = 1, seconds: float = 0.1, declared: int | None = None
) -> bytes:
    data = bytes(2 * int(sample_rate * seconds))
    size = len(data) if declared is None else declared
    head = (1).to_bytes(2, "little") + channels.to_bytes(2, "little") + sample_rate.to_bytes(4, "little")
    head += (2 * sample_rate * channels % 2**32).to_bytes(4, "little") + (2 * channels % 65536).to_bytes(
        2, "little"
    )
    head += (16).to_bytes(2, "little")
    body = b"WAVEfmt " + (16).to_bytes(4, "little") + head + b"data" + size.to_bytes(4, "little") + data
    return b"RIFF" + (len(body)).to_bytes(4, "little") + body


def _tables() -> Iterator[Case]:
    rows = {
        "no rows": [],
        "a name that leads out": [["../../../../../../etc/passwd", "0", "bird", "test"]],
        "a category that leads out": [["a", "0", "../../../../etc", "test"]],
        "an absolute name": [["/etc/passwd", "0", "/etc", "test"]],
        "a name with a zero": [["a\0b", "0", "bird", "test"]],
        "a name of 10^4 letters": [["x" * 10_000, "0", "bird", "test"]],
        "a split of no name": [["a", "0", "bird", "nowhere"]],
        "a row that is short": [["a"]],
        "a row that is long": [["a"] * 50],
        "a name twice": [["__GOGlHL23s_4000_9000", "0", "bird", "train"]] * 2,
        "10^4 rows of nothing": [["", "", "", ""]] * 10_000,
        "a field of a megabyte": [["a", "x" * (1 << 20), "bird", "test"]],
    }
    for what, lines in rows.items():
        out = io.StringIO()
        csv.writer(out).writerows([["name", "start", "category", "split"], *lines])
        content = out.getvalue().encode()
        yield _table(what, content)
    whole = (_whole("s4") / "Single-source/s4_meta_data.csv").read_bytes()
    yield _table("quotes without an end", whole.replace(b"bird", b'"bird'))
    yield _table("other columns", b"a,b\n1,2\n")
    yield _table("another encoding", whole.decode().encode("utf-16"))
    for how, content in (*cuts(whole), *flips(whole, 3)):
        yield _table(how, content)


def _table(what: str, content: bytes) -> Case:
    make = _broken("s4", "Single-source/*.csv", _filled(content))
    return Case(f"tree/a table with {what}", make, _check("s4"), (FINE, WRONG_USE, FAULTY))


def _shards() -> Iterator[Case]:
    def index(what: str, change: Callable[[dict], object]) -> Case:
        def how(path: Path) -> None:
            values = json.loads(path.read_text())
            change(values)
            path.write_text(json.dumps(values))

        return _shard(f"an index with {what}", "shards.json", how)

    def row(**values: object) -> Callable[[dict], object]:
        return lambda raw: raw["splits"]["train"]["clips"][0].update(values)

    yield Case(
        "shards/as they should be", lambda folder: _copy("shards", folder), _check("ms3"), (FINE, FAULTY)
    )
    for way, how in WAYS.items():
        yield _shard(f"an index: {way}", "shards.json", how)
        yield _shard(f"a shard: {way}", "*.tar", how)
    whole = (_whole("shards") / "shards.json").read_bytes()
    for how, content in (*cuts(whole), *flips(whole, 3)):
        yield _shard(f"an index {how}", "shards.json", _filled(content))
    yield _shard("an index of lists in lists", "shards.json", _filled(b"[" * 100_000))
    yield index("a shard that does not exist", row(shard=99))
    yield index("a shard below zero", row(shard=-5))
    yield index("a shard in words", row(shard="a"))
    yield index("no files", row(files={}))
    yield index("a place below zero", row(files={"frame0.png": [-5, 10, 0]}))
    yield index("a size of 2^62", row(files={"frame0.png": [0, 2**62, 0]}))
    yield index("a size in words", row(files={"frame0.png": ["a", "b", "c"]}))
    yield index("a key that is a list", row(key=[1]))
    yield index("frames 10^9 apart", row(files={"frame0.png": [0, 1, 0], "frame999999999.png": [0, 1, 0]}))
    yield index(
        "a shard that leads out",
        lambda raw: raw["splits"]["train"].update(shards=[["../../../etc/passwd", 10]]),
    )
    yield index(
        "an absolute shard",
        lambda raw: raw["splits"]["train"].update(
            shards=[["/etc/passwd", Path("/etc/passwd").stat().st_size]]
        ),
    )
    yield index("a split that is a list", lambda raw: raw["splits"].update(train=[]))
    yield index("another version", lambda raw: raw.update(version=99))
    yield index("a data set of no name", lambda raw: raw.update(name="nothing"))
    yield index("classes that are numbers", lambda raw: raw.update(classes=[1, 2]))


def _shard(what: str, pattern: str, how: Break) -> Case:
    return Case(f"shards/{what}", _broken("shards", pattern, how), _check("ms3"), (FINE, WRONG_USE, FAULTY))


def _corpora() -> Iterator[Case]:
    yield Case("corpus/as it should be", lambda folder: _copy("corpus", folder), _compose, (FINE,))
    files = {
        "a cutout": "cutouts/square/square-2.png",
        "a sound": "sounds/disc/*.wav",
        "a background": "backgrounds/city.png",
    }
    for file, pattern in {**files, "a manifest": "corpus.json"}.items():
        for way, how in WAYS.items():
            yield _corpus(f"{file}: {way}", pattern, how)
    for what, content in {
        "splits that are a list": b'{"splits": []}',
        "a split of no name": b'{"splits": {"a": ["nowhere"]}}',
        "a second below zero": b'{"held_from": {"sounds/square/square.wav": -5}}',
        "a second of 10^300": b'{"held_from": {"sounds/square/square.wav": 1e300}}',
        "a second that is no number": b'{"held_from": {"sounds/square/square.wav": NaN}}',
        "all classes silent": b'{"zero_shot": ["square", "disc", "ring", "bar", "ghost"]}',
        "lists in lists": b"[" * 100_000,
        "bytes": bytes(range(256)),
        "a list": b"[]",
    }.items():
        yield _corpus(f"a manifest with {what}", "corpus.json", _filled(content))
    yield _corpus("a cutout of nothing", "cutouts/square/square-2.png", _filled(image("png")))
    yield _corpus("a background of 20000 x 20000", "backgrounds/city.png", _filled(_png(20_000, 20_000)))


def _corpus(what: str, pattern: str, how: Break) -> Case:
    return Case(f"corpus/{what}", _broken("corpus", pattern, how), _compose, (FINE, 1, WRONG_USE, FAULTY))
