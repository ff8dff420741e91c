"""A run's folder, made by hand: rows, images and a recipe, without any training."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from save_avs.training.callbacks.callback import StepStats, ValidationImage
from save_avs.training.recipe import Recipe
from tests.support.tiny_model import tiny_config

STEPS = 400


def make_recipe(out: Path, **changes: Any) -> Recipe:
    """A stage on composed scenes, then one on clips."""
    composed = {
        "task": "synthetic-avs",
        "trainable": ["adapter"],
        "steps": STEPS,
        "batch_size": 4,
        "lr": 1e-3,
    }
    clips = {"task": "avs", "data": {"name": "s4", "root": "x"}, "epochs": 2, "batch_size": 2, "lr": 1e-4}
    plain = {
        "model": tiny_config().model_dump(),
        "corpus": "corpora/x",
        "out": out,
        "stages": [{"name": "1-scenes", **composed}, {"name": "2-clips", "init_from": "1-scenes", **clips}],
    }
    return Recipe.model_validate(plain | changes)


def training_row(step: int, **changes: float) -> dict[str, float]:
    bce, iou = 0.7 * np.exp(-step / 150), 0.9 * np.exp(-step / 300)
    row = {"step": step, "loss": bce + iou, "bce": bce, "iou": iou, "lr": 1e-3 * (1 - step / STEPS)}
    return {**row, "frames_per_s": 20.0 + step % 3, "data_wait": 0.1, "memory_gb": 1.5, **changes}


def validation_row(step: int, miou: float) -> dict[str, float]:
    return {"step": step, "val_miou": miou}


def write_rows(folder: Path, rows: list[dict[str, Any]], name: str = "metrics.jsonl") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text("".join(json.dumps(row) + "\n" for row in rows))


def make_validation_image(
    name: str = "clip-0", *, side: int = 64, probability: float = 0.9
) -> ValidationImage:
    """A gray frame; the truth is its left half, and so is what was found, with this probability."""
    half = np.zeros((side // 4, side // 4), np.float32)
    half[:, : side // 8] = 1.0
    return ValidationImage(name, np.full((side, side, 3), 90, np.uint8), probability * half, half)


def stats(step: int, **changes: Any) -> StepStats:
    """A tenth of a second a step."""
    plain = {
        "step": step,
        "steps": STEPS,
        "loss": 0.5,
        "lr": 1e-3,
        "frames_per_s": 40.0,
        "data_wait": 0.0,
        "memory": 1_500_000_000,
        "eta_s": (STEPS - step) / 10,
    }
    return StepStats(**plain | changes)
