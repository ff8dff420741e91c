"""Coverage-guided fuzzing of the readers of untrusted files.

Targets: index, manifest, masks, pickle, weights. A reader may return or raise a `SaveAvsError`; anything else
is a finding, and so is an input that takes 10 seconds or 2 GB. Inputs are mutations of valid files and of the
words in them. Arguments after the target's name are libFuzzer's.

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

# Python code outside the package to instrument; compiled code (json, pydantic, safetensors) cannot be.
INSTRUMENTED = (pickletools._genops, zipfile.ZipFile._RealGetContents, Unpickler.load)

MASKS = {
    "version": 1,
    "video": {"path": "a.mp4", "width": 3, "height": 2, "fps": 25.0},
    "model": {},
    "frames": [{"index": 0, "time": 0, "score": 1, "segmentation": {"size": [2, 3], "counts": "222"}}],
}
MEMBER = {"name": "frame0.png", "offset": 0, "size": 1, "crc": 2}
CLIP = {
    "shard": 0,
    "metadata": {"name": "a", "source": "a", "categories": ["b"]},
    "frames": [MEMBER],
    "annotations": [None],
    "audio": MEMBER,
    "first_log_mel_patch": 0,
    "times": None,
}
INDEX = {
    "version": 1,
    "name": "ms3",
    "classes": [],
    "splits": {"train": {"shards": [["a.tar", 1]], "clips": [CLIP]}},
}
MANIFEST = {"splits": {"a.png": ["train"]}, "test_from_s": {"a.wav": 1.5}, "zero_shot": ["b"], "license": "c"}
STATE = {"a": torch.arange(6.0).view(2, 3)}


@dataclass(frozen=True)
class Target:
    """A reader: the name of its file, a function of the path, and valid files as seeds."""

    file: str
    read: Callable[[Path], object]
    seeds: tuple[bytes, ...]


def _torch_bytes(*, zipped: bool) -> bytes:
    buffer = io.BytesIO()
    torch.save(STATE, buffer, _use_new_zipfile_serialization=zipped)
    return buffer.getvalue()


def _decode(path: Path) -> None:
    video_masks = load_masks_json(path).video_masks
    video_masks.areas()
    for i in range(len(video_masks)):
        video_masks.mask(i)


def _json(values: object) -> bytes:
    return json.dumps(values).encode()


TARGETS = {
    "index": Target("shards.json", lambda path: read_index(path.parent), (_json(INDEX),)),
    "manifest": Target("corpus.json", lambda path: Manifest.load(path.parent), (_json(MANIFEST),)),
    "masks": Target("masks.json", _decode, (_json(MASKS),)),
    "pickle": Target(
        "a.pkl", read_plain_pickle, (pickle.dumps({7: ["d0.wav"]}, 2), pickle.dumps({7: ["d0"]}))
    ),
    "weights": Target(
        "a.pth", read_state_dict, (_torch_bytes(zipped=True), _torch_bytes(zipped=False), save(STATE))
    ),
}


def _words(seeds: tuple[bytes, ...]) -> list[str]:
    """Return the words and punctuation in the seeds, for a libFuzzer dictionary."""
    words = {word for seed in seeds for word in re.findall(rb"[A-Za-z_.]{2,}|[\[\]{}:,]+", seed)}
    return sorted(word.decode() for word in words)


def main(arguments: list[str]) -> None:
    """Fuzz one target until libFuzzer ends the process."""
    name, options = arguments[0], arguments[1:]
    target = TARGETS[name]
    folder = Path(tempfile.mkdtemp(prefix=f"fuzz-{name}-"))
    seeds, path = folder / "seeds", folder / target.file
    seeds.mkdir()
    for i, seed in enumerate(target.seeds):
        (seeds / str(i)).write_bytes(seed)
    words = folder / "words"
    words.write_text("".join(f'"{word}"\n' for word in _words(target.seeds)))
    for function in INSTRUMENTED:
        atheris.instrument_func(function)

    def test_one_input(data: bytes) -> None:
        path.write_bytes(data)
        try:
            target.read(path)
        except SaveAvsError as error:
            assert "\n" not in str(error), error

    limits = ["-timeout=10", "-rss_limit_mb=2048", "-use_value_profile=1", f"-dict={words}"]
    atheris.Setup([sys.argv[0], str(seeds), *limits, *options], test_one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1:])
