"""Fuzz what reads files of strangers, guided by coverage.

Targets: index, manifest, masks, tensor, weights. A reader may return, or raise one of the program's own
errors; anything else is a finding, and so are 10 seconds or 2 GB for one input. Inputs start from whole
files and the words in them, and what is behind the target's name goes to libFuzzer.

    pip install --group fuzz
    python fuzz/parsers.py masks -max_total_time=120
"""

from __future__ import annotations

import io
import json
import pickle
import pickletools
import re
import sys
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import atheris
import torch
from safetensors.torch import save
from torch._weights_only_unpickler import Unpickler

with atheris.instrument_imports(include=["save_avs"]):
    from save_avs.datasets.clip_files import read_plain_pickle
    from save_avs.datasets.shards import read_index
    from save_avs.errors import SaveAvsError
    from save_avs.formats import load_masks_json
    from save_avs.synthesis.corpus import Manifest
    from save_avs.weights.state_dict import read_state_dict

# What else of the reading is Python. What is compiled (json, pydantic, safetensors) cannot guide.
GUIDES = (pickletools._genops, zipfile.ZipFile._RealGetContents, Unpickler.load)

MASKS = {
    "version": 1,
    "video": {"width": 3, "height": 2},
    "frames": [{"index": 0, "time": 0, "score": 1, "segmentation": {"size": [2, 3], "counts": "222"}}],
}
ROW = {
    "shard": 0,
    "key": "a",
    "told": {"name": "a", "source": "a", "categories": ["b"], "first_log_mel_patch": 0, "times": None},
    "files": {"frame0.png": [0, 1, 2]},
}
INDEX = {
    "version": 1,
    "name": "ms3",
    "classes": [],
    "splits": {"train": {"shards": [["a.tar", 1]], "clips": [ROW]}},
}
MANIFEST = {"splits": {"a.png": ["train"]}, "held_from": {"a.wav": 1.5}, "zero_shot": ["b"], "licence": "c"}
STATE = {"a": torch.arange(6.0).view(2, 3)}


@dataclass(frozen=True)
class Target:
    """A reader: the name of the file it reads, what is done with its path, and whole files to start from."""

    file: str
    read: Callable[[Path], object]
    seeds: tuple[bytes, ...]


def _saved(zipped: bool) -> bytes:
    out = io.BytesIO()
    torch.save(STATE, out, _use_new_zipfile_serialization=zipped)
    return out.getvalue()


def _decode(path: Path) -> None:
    video_masks = load_masks_json(path).video_masks
    video_masks.areas()
    for number in range(len(video_masks)):
        video_masks.mask(number)


def _json(values: object) -> bytes:
    return json.dumps(values).encode()


TARGETS = {
    "index": Target("shards.json", lambda path: read_index(path.parent), (_json(INDEX),)),
    "manifest": Target("corpus.json", lambda path: Manifest.load(path.parent), (_json(MANIFEST),)),
    "masks": Target("masks.json", _decode, (_json(MASKS),)),
    "pickle": Target(
        "a.pkl", read_plain_pickle, (pickle.dumps({7: ["d0.wav"]}, 2), pickle.dumps({7: ["d0"]}))
    ),
    "weights": Target("a.pth", read_state_dict, (_saved(True), _saved(False), save(STATE))),
}


def _words(seeds: tuple[bytes, ...]) -> list[str]:
    """What stands in whole files, as libFuzzer's dictionaries spell it."""
    found = {word for seed in seeds for word in re.findall(rb"[A-Za-z_.]{2,}|[\[\]{}:,]+", seed)}
    return sorted(word.decode() for word in found)


def main(arguments: list[str]) -> None:
    """Fuzz one target until libFuzzer ends the process."""
    name, options = arguments[0], arguments[1:]
    target = TARGETS[name]
    folder = Path(tempfile.mkdtemp(prefix=f"fuzz-{name}-"))
    seeds, path = folder / "seeds", folder / target.file
    seeds.mkdir()
    for number, seed in enumerate(target.seeds):
        (seeds / str(number)).write_bytes(seed)
    words = folder / "words"
    words.write_text("".join(f'"{word}"\n' for word in _words(target.seeds)))
    for function in GUIDES:
        atheris.instrument_func(function)

    def once(data: bytes) -> None:
        path.write_bytes(data)
        try:
            target.read(path)
        except SaveAvsError as error:
            assert "\n" not in str(error), error

    limits = ["-timeout=10", "-rss_limit_mb=2048", "-use_value_profile=1", f"-dict={words}"]
    atheris.Setup([sys.argv[0], str(seeds), *limits, *options], once)
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1:])
