"""Recipes and masks.json: whatever a text file can do to whoever reads it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

from tests.support.hostile.byte_damage import cuts, flips
from tests.support.hostile.case import Case, every, written


def _nine(old: str, new: str) -> bytes:
    return f"{new}: &{new} [{','.join([f'*{old}'] * 9)}]\n".encode()


YAML = {
    "nothing": b"",
    "blanks": b" \n\t\n",
    "bytes": bytes(range(256)),
    "another encoding": "model: é\n".encode("utf-16"),
    "a word": b"hello",
    "a number": b"12",
    "a list": b"- a\n- b\n",
    "a key that is no text": b"? [1, 2]\n: x\n",
    "a key twice": b"model: 1\nmodel: 2\n",
    "a tag that makes an object": b"!!python/object/apply:os.mkdir ['../hacked']\n",
    "a tag within": b"model: !!python/object/new:os.system ['mkdir ../hacked']\n",
    "a tag of a name": b"model: !!python/name:os.system\n",
    "a tag of its own": b"model: !evil x\n",
    "aliases of aliases": b"a: &a [x,x,x,x,x,x,x,x,x]\n"
    + b"".join(_nine(*pair) for pair in pairwise("abcdefghi")),
    "an alias of itself": b"model: &a {b: *a}\n",
    "lists in lists": b"model: " + b"[" * 20_000,
    "maps in maps": b"".join(b" " * k + b"a:\n" for k in range(2000)),
    "a text of a megabyte": b"model: " + b"x" * (1 << 20),
    "10^5 keys": b"".join(b"k%d: 1\n" % k for k in range(30_000)),
    "a number of 10^5 digits": b"model: " + b"9" * 100_000,
    "no number": b"model: .nan\n",
    "an interpolation of the environment": b"model: ${oc.env:HOME}\nout: x\nstages: []\n",
    "an interpolation of code": b"model: ${oc.create:x}\n",
    "an interpolation of itself": b"model: ${model}\n",
    "an interpolation without an end": b"model: ${\n",
    "an interpolation that nests": b"model: " + b"${" * 500 + b"a" + b"}" * 500,
    "two documents": b"a: 1\n---\nb: 2\n",
    "a tab": b"model:\n\tname: x\n",
    "extends itself": b"extends: doc.yaml\n",
    "extends what is not there": b"extends: ../../../etc/none.yaml\n",
    "extends a file of the system": b"extends: /etc/passwd\n",
    "extends a number": b"extends: 12\n",
    "extends a list": b"extends: [a, b]\n",
}

RECIPE = b"""model: {preset: save-vit-b, image_size: 64}
out: out
corpus: sample
stages: [{name: a, task: segment, steps: 2}]
"""

MASKS = {
    "version": 1,
    "video": {"path": "v.mp4", "width": 3, "height": 2, "fps": 1.0, "duration": 1.0},
    "model": {"name": "tiny"},
    "frames": [{"index": 0, "time": 0.0, "score": 0.5, "segmentation": {"size": [2, 3], "counts": "222"}}],
}


def cases() -> Iterator[Case]:
    """All of them."""
    yield from every(_recipes(), 15)
    yield from every(_masks(), 15)


def _validate(made: Path, out: Path) -> list[str]:
    return ["validate", str(made), f"out={out}"] if made.suffix == ".yml" else ["validate", str(made)]


def _convert(made: Path, out: Path) -> list[str]:
    return ["masks", "convert", str(made), "--to", "coco,npz,png,cvat,labelstudio", "-o", str(out)]


def _recipes() -> Iterator[Case]:
    for what, content in YAML.items():
        yield Case(f"recipe/{what}", written("doc.yaml", content), _validate, (2,))
    for how, content in (*cuts(RECIPE), *flips(RECIPE, 3)):
        yield Case(f"recipe/{how}", written("doc.yaml", content), _validate, (0, 2))
    for what, old, new in (
        ("steps below zero", b"steps: 2", b"steps: -2"),
        ("steps of 10^30", b"steps: 2", b"steps: 1" + b"0" * 30),
        ("steps in words", b"steps: 2", b"steps: many"),
        ("a task of no name", b"task: segment", b"task: nothing"),
        ("a stage's name that leads out", b"name: a", b"name: ../../hacked"),
        ("a stage that is a list", b"{name: a, task: segment, steps: 2}", b"[]"),
        ("a corpus that is not there", b"corpus: sample", b"corpus: /nowhere"),
        ("a corpus that is a file", b"corpus: sample", b"corpus: /etc/passwd"),
        ("an image of 10^9", b"image_size: 64", b"image_size: 1000000000"),
        ("a preset of no name", b"save-vit-b", b"save-vit-z"),
        ("an output that is a file", b"out: out", b"out: /etc/passwd/x"),
        ("an output with a zero", b"out: out", b'out: "a\\0b"'),
    ):
        yield Case(f"recipe/{what}", written("doc.yaml", RECIPE.replace(old, new)), _validate, (0, 1, 2))


def _masks() -> Iterator[Case]:
    def changed(what: str, change: Callable[[dict], object], *codes: int) -> Case:
        values = json.loads(json.dumps(MASKS))
        change(values)
        return Case(
            f"masks/{what}", written("masks.json", json.dumps(values).encode()), _convert, codes or (2,)
        )

    def frame(**values: object) -> Callable[[dict], object]:
        return lambda masks: masks["frames"][0].update(values)

    def counts(text: object) -> Callable[[dict], object]:
        return lambda masks: masks["frames"][0]["segmentation"].update(counts=text)

    def sized(height: object, width: object) -> Callable[[dict], object]:
        def change(masks: dict) -> None:
            masks["video"].update(height=height, width=width)
            masks["frames"][0]["segmentation"]["size"] = [height, width]

        return change

    yield changed("as it should be", lambda _: None, 0)
    for what, text in {
        "of nothing": "",
        "that end early": "1",
        "that never end": "o",
        "beyond the image": "99999999",
        "below zero": "OOOO",
        "of 10^5 runs": "1" * 100_000,
        "of other letters": "~~~\x7f",
        "of blanks": "   ",
        "as a number": 7,
        "as a list": [1, 2, 3],
        "in another script": "é片",
        "with a zero": "2\0002",
        "of 2^60": "PPPPPPPPPPPPO",
    }.items():
        yield changed(f"counts {what}", counts(text), 0, 2)
    for height, width in (
        (0, 0),
        (-2, 3),
        (10**6, 10**6),
        (2**31, 2),
        (2**62, 2**62),
        ("2", "3"),
        (2.5, 3),
        (None, 3),
        ([], {}),
    ):
        yield changed(f"an image of {height} x {width}", sized(height, width), 0, 2)
    for what, values in {
        "an index below zero": {"index": -1},
        "an index of 10^30": {"index": 10**30},
        "an index in words": {"index": "a"},
        "a time that is no number": {"time": float("nan")},
        "a time without an end": {"time": float("inf")},
        "a score of 10^400": {"score": "1e400"},
        "no segmentation": {"segmentation": None},
        "a list for one": {"segmentation": []},
    }.items():
        yield changed(what, frame(**values), 0, 2)
    yield changed("a frame twice", lambda masks: masks["frames"].append(masks["frames"][0]), 0, 2)
    yield changed("no frames", lambda masks: masks.update(frames=[]), 0, 2)
    yield changed("frames that are a map", lambda masks: masks.update(frames={"a": 1}))
    yield changed("frames that are text", lambda masks: masks.update(frames="abc"))
    yield changed(
        "a video whose path leads out", lambda masks: masks["video"].update(path="../../../hacked"), 0, 2
    )
    yield changed("a video without a path", lambda masks: masks["video"].pop("path"), 0, 2)
    yield changed("a video of no rate", lambda masks: masks["video"].update(fps=0), 0, 2)
    yield changed("a video of a rate in words", lambda masks: masks["video"].update(fps="fast"), 0, 2)
    yield changed("a model that is a list", lambda masks: masks.update(model=[]), 0, 2)
    whole = json.dumps(MASKS).encode()
    for how, content in (*cuts(whole), *flips(whole, 4)):
        yield Case(f"masks/{how}", written("masks.json", content), _convert, (0, 2))
    for what, content in (
        ("lists in lists", b"[" * 100_000),
        ("bytes", bytes(range(256))),
        ("a number of 10^5 digits", b"9" * 100_000),
        ("maps in maps", b'{"frames":' * 100_000),
        ("another encoding", whole.decode().encode("utf-16")),
    ):
        yield Case(f"masks/{what}", written("masks.json", content), _convert, (2,))
