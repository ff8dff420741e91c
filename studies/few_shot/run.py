"""Running the few-shot study: material, baselines, trial after trial; a stopped one goes on."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from save_avs._files import atomic_write
from save_avs.errors import UsageError
from save_avs.models.save import SAVE
from studies.few_shot.methods import make_methods
from studies.few_shot.scores import TrialScores, score_trial
from studies.few_shot.settings import Settings
from studies.few_shot.trials import Material

SETTINGS, HEADS, TRIALS = "settings.json", "baselines", "trials"


def claim(folder: Path, about: dict[str, Any]) -> None:
    """Make the folder this study's, or find that it is.

    Raises:
        UsageError: when it holds something else, or a study with other settings.
    """
    path = folder / SETTINGS
    text = json.dumps(about, indent=2) + "\n"
    if path.exists():
        if path.read_text("utf-8") != text:
            raise UsageError(f"{folder} holds a few-shot study with other settings: name another folder")
    elif folder.exists() and any(folder.iterdir()):
        raise UsageError(f"{folder} exists and holds no few-shot study: name another folder")
    else:
        atomic_write(path, text)


def run_study(
    save: SAVE,
    material: Material,
    settings: Settings,
    folder: Path,
    *,
    said: Callable[[str], None] = lambda _: None,
) -> list[TrialScores]:
    """Estimate all trials; what the folder holds already is not done again.

    Args:
        save: frozen, in evaluation mode; it is compared, and lends its encoders to the baselines.
        material: of a data set.
        settings: budgets and seeds.
        folder: where trained baselines and scored trials are kept.
        said: hears how far it is.
    """
    said(f"{len(material.seen)} frames of {len(material.seen.by_class())} seen classes")
    methods = make_methods(save, material.seen, settings, folder / HEADS)
    said("baselines are trained")
    scores = []
    for trial in material.trials:
        path = folder / TRIALS / f"{trial.name}.npz"
        if not path.exists():
            score_trial(trial, methods, settings.seed).save(path)
            said(f"{trial.name} done")
        scores.append(TrialScores.load(path, methods))
    return scores
