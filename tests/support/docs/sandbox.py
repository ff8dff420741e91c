"""A folder in which the documents' commands run as they stand: everything under their names, and small."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import torch
import yaml
from safetensors.torch import save_file

from save_avs.models.serialization import save_model
from save_avs.training.recipe import RECIPES
from studies.cli import main as studies_main
from tests.support.docs.code_blocks import ROOT
from tests.support.sample_videos import make_video
from tests.support.tiny_corpus import make_corpus
from tests.support.tiny_model import SAM, shake, tiny_model

BENCHMARKS = ("ROOT", "AVSBench", "archives", "data/avsbench")  # names of the one tree
MODELS = ("runs/s4/model", "runs/a/model", "runs/b/model")
TINY = {
    "name": "tiny",
    "image_size": 64,
    "audio": "compact",
    "sam": {**SAM, "global_attn_indexes": list(SAM["global_attn_indexes"])},
    "image_adapter": {"ratio": 0.25, "spatial": "depthwise"},
    "audio_adapter": {"hidden": 24},
}
RUN = {"precision": "fp32", "workers": 0}
BASES = {"sam": "pretrained/sam.pth", "audio": "pretrained/ear.safetensors"}
STAGES = 4  # of a list: in save-tiny's, every task has come by then
QUICK = {"image_size": 64, "steps": 1, "batch_size": 2, "val_samples": 2}
# Recipe to what replaces its values, and those of each of its stages.
SMALL: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "s4-256": ({"pretrained": BASES}, {"epochs": 1, "batch_size": 2}),
    "miniature": ({}, {"init_from": "runs/s4/model", "reset": ["audio_classifier"]}),
    "save-tiny": ({}, QUICK),
    "studies/declarations/recipes/base.yaml": ({}, QUICK),
    "own-objects": ({}, QUICK | {"init_from": "runs/s4/model"}),
}


def make_sandbox(root: Path) -> Path:
    """Fill ``root``: clips, benchmark trees, a corpus, models and recipes."""
    _clips(root)
    _trees(root)
    _models(root)
    make_corpus(root / "corpora" / "tuxpaint")
    make_corpus(root / "objects", manifest=False)
    for name, (whole, stage) in SMALL.items():
        _recipe(root / name, whole, stage)
    shutil.copytree(ROOT / "packages", root / "packages")
    return root


def _clips(root: Path) -> None:
    for name in ("clip.mp4", "videos/first.mp4", "videos/second.mp4"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        make_video(root / name, frames=6, fps=5)
    (root / "more" / "there").mkdir(parents=True)
    shutil.copy(root / "clip.mp4", root / "more" / "there" / "third.webm")


def _trees(root: Path) -> None:
    tree = root / BENCHMARKS[0]
    for layout in ("s4", "ms3", "v3"):
        part = root / "part"
        size = ["--count", "2", "--size", "48x48"]
        assert studies_main(["compose", "sample", "-o", str(part), "--layout", layout, *size]) == 0
        shutil.copytree(part, tree, dirs_exist_ok=True)
        shutil.rmtree(part)
    for name in BENCHMARKS[1:]:
        shutil.copytree(tree, root / name)


def _models(root: Path) -> None:
    source = tiny_model(seed=3, image_size=128, image_adapter=None)
    shake(source)
    (root / "pretrained").mkdir()
    torch.save(source.sam.state_dict(), root / "pretrained" / "sam.pth")
    heard = {key: value.contiguous() for key, value in source.audio_backbone.state_dict().items()}
    save_file(heard, root / "pretrained" / "ear.safetensors")
    for seed, name in enumerate(MODELS):
        model = tiny_model(seed=seed)
        shake(model, seed)
        save_model(model, root / name)


def _recipe(path: Path, whole: dict[str, Any], stage: dict[str, Any]) -> None:
    """The recipe with what makes it small; names of stages and where it writes stay.

    A file called as one of the package's recipes is used in its place.
    """
    named = RECIPES / f"{path.name}.yaml"
    source = named if named.is_file() else ROOT / "studies" / "declarations" / "recipes" / path.name
    recipe = yaml.safe_load(source.read_text(encoding="utf-8"))
    if recipe.get("extends"):
        recipe["extends"] = recipe["extends"].removesuffix(".yaml")
    recipe |= RUN | {"model": TINY} | whole
    if isinstance(recipe["stages"], list):
        recipe["stages"] = recipe["stages"][:STAGES]
    stages = recipe["stages"].values() if isinstance(recipe["stages"], dict) else recipe["stages"]
    for values in stages:
        values.update(stage)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(recipe), encoding="utf-8")
