"""A study small enough for tests: a micro corpus, a base, two variants of a few steps."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from save_avs.models.serialization import save_model
from tests.support.tiny_corpus import make_corpus
from tests.support.tiny_model import tiny_config, tiny_model

CLASSES = ("bar", "disc", "ring", "square")
STEPS = 4
VARIANTS: dict[str, Any] = {
    "both": {"seeds": [0, 1]},
    "image": {"model": {"audio_adapter": {"inject_into": "none"}}},
    "none": {
        "model": {"image_adapter": None, "audio_adapter": {"inject_into": "none"}},
        "stage": {"trainable": ["audio_adapter", "mask_decoder"]},
    },
}


def make_base(folder: Path) -> Path:
    """A SAM and an audio backbone that were never trained, saved as a stage saves them."""
    return save_model(tiny_model(name="base", image_adapter=None, classes=CLASSES), folder)


def make_study(home: Path, **changes: Any) -> Path:
    """Write corpus, base, recipe and study into ``home``; returns the study's file."""
    config = tiny_config(name="toy").model_dump(mode="json", exclude={"classes", "pretrained", "semantic"})
    stage = {
        "task": "synthetic-avs",
        "init_from": str(make_base(home / "base")),
        "reset": ["audio_adapter"],
        "trainable": ["adapter", "audio_adapter", "mask_decoder"],
        "steps": STEPS,
        "batch_size": 4,
        "lr": 1e-3,
        "warmup_steps": 1,
        "ema_decay": 0.0,
        "semantic_aux_weight": 0.0,
        "validate_every": STEPS,
        "val_samples": 2,
        "scenes": {"num_objects": [1, 2], "object_size": [0.5, 1.0]},
    }
    recipe = {
        "model": config,
        "corpus": str(make_corpus(home / "corpus")),
        "out": "unused",
        "precision": "fp32",
        "workers": 0,
        "stages": {"scenes": stage},
    }
    (home / "recipe.yaml").write_text(json.dumps(recipe))
    study = {
        "title": "Toys",
        "question": "Which?",
        "recipe": "recipe.yaml",
        "reference": "both",
        "variants": VARIANTS,
        "evaluation": {"scenes": 6, "seed": 5},
    }
    file = home / "toys.yaml"
    file.write_text(json.dumps(study | changes))
    return file
