"""A corpus with three seen and two unseen classes, a small model, and small budgets."""

from __future__ import annotations

import json
from pathlib import Path

from save_avs.models import SAVE
from studies.few_shot import FewShotConfig
from tests.support.tiny_corpus import MANIFEST, make_corpus
from tests.support.tiny_model import shake, tiny_model

UNSEEN = ("disc", "ghost")
SEEN = ("bar", "ring", "square")
QUICK = {
    "shots": (0, 1, 2),
    "episodes": 3,
    "ways": 2,
    "queries": 2,
    "pool": 5,
    "seen": 4,
    "baseline_episodes": 3,
    "baseline_epochs": 1,
    "gavs_epochs": 1,
    "finetune_epochs": 2,
}


def make_few_shot_corpus(root: Path) -> Path:
    make_corpus(root)
    (root / "corpus.json").write_text(json.dumps(MANIFEST | {"zero_shot": list(UNSEEN)}))
    return root


def frozen_model() -> SAVE:
    model = tiny_model()
    shake(model)
    return model.requires_grad_(False)


def quick(**changes) -> FewShotConfig:
    return FewShotConfig(**(QUICK | changes))
