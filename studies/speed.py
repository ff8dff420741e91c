"""Milliseconds a frame of a study's models, measured beside each other."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from save_avs._files import atomic_write
from save_avs.evaluation.benchmark_timer import time_call, time_interleaved
from save_avs.models import SAVE, build_save
from save_avs.models.precision import resolve_precision, set_precision
from save_avs.runtimes.loading import resolve_device
from save_avs.synthesis.streams import calibration_frames
from save_avs.training.recipe import Recipe
from save_avs.training.setup import stage_config

FILE = "speed.json"
BATCH, ROUNDS = 8, 7


@torch.inference_mode()
def measure_ms(recipes: Mapping[str, Recipe], rounds: int = ROUNDS) -> dict[str, float]:
    """Median milliseconds a frame of each model, with random weights, in turns."""
    runs: dict[str, Callable[[], float]] = {}
    for name, recipe in recipes.items():
        model = build_save(stage_config(recipe.model, recipe.stages[-1], None)).eval()
        device = resolve_device(recipe.device)
        model = set_precision(model, resolve_precision("auto", device)).to(device)
        frames = [part.to(device) for part in calibration_frames(BATCH, model.image_size, model.frontend)]
        runs[name] = partial(time_call, partial(_run, model, *frames))
    return {name: 1e3 * seconds / BATCH for name, seconds in time_interleaved(runs, rounds).items()}


def _run(model: SAVE, images: Tensor, log_mel: Tensor) -> float:
    return float(model(images, log_mel).sum())  # the sum waits for the device


def keep_ms(folder: Path, ms: Mapping[str, float], machine: str) -> None:
    """Write them into a study's folder."""
    about: dict[str, Any] = {"machine": machine, "batch": BATCH, "ms": dict(ms)}
    atomic_write(folder / FILE, json.dumps(about, indent=2) + "\n")


def read_ms(folder: Path) -> tuple[dict[str, float], str]:
    """What was measured last, and on which machine; nothing where nothing was."""
    try:
        about = json.loads((folder / FILE).read_text("utf-8"))
        return dict(about["ms"]), str(about["machine"])
    except (OSError, ValueError, KeyError, TypeError):
        return {}, ""
