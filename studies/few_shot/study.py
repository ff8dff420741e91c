"""The few-shot study; finished trials are saved, so a stopped study resumes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from save_avs._files import atomic_write
from save_avs.errors import UsageError
from save_avs.models.precision import resolve_precision
from save_avs.models.save import SAVE
from save_avs.runtimes import load_model
from save_avs.runtimes.loading import find_model_folder
from studies.environment import describe_environment
from studies.few_shot.config import FewShotConfig
from studies.few_shot.episodes import FewShotData, scene_data, v3_data
from studies.few_shot.methods import make_methods
from studies.few_shot.report import make_report
from studies.few_shot.results import FewShotResults, FewShotScores, score_trial
from studies.report import StudyReport

CONFIG, BASELINES, TRIALS = "config.json", "baselines", "trials"


def run_few_shot(
    model: str,
    data: str,
    root: Path,
    config: FewShotConfig,
    folder: Path,
    *,
    precision: str = "auto",
    device: str = "auto",
    log: Callable[[str], None] = lambda _: None,
) -> StudyReport:
    """Score all methods, and report.

    Args:
        model: name or folder of a SAVE trained on the seen classes.
        data: ``scenes`` or ``v3``.
        root: of the corpus, or of AVSBench V3.
        config: sizes and budgets.
        folder: where trained baselines and scored trials are kept.
        precision: of the model.
        device: of the model.
        log: called with lines about the progress.

    Raises:
        UsageError: the model or the data is missing, or the folder has a study with another configuration.
    """
    find_model_folder(model)
    info = {"model": model, "data": data, "root": str(root), **config.as_json()}
    claim_folder(folder, info)
    save = load_model(model, device=device, precision="fp32").requires_grad_(False)  # for fine-tuning
    save.precision = resolve_precision(precision, save.device)
    log(f"model {save.name} on {save.device}, {save.precision}")
    read = scene_data if data == "scenes" else v3_data
    trials = score_trials(save, read(save, root, config), config, folder, log=log)
    setting = describe_environment(**info, precision=f"{save.precision} on {save.device}")
    return make_report(FewShotResults(trials, config.seed), data=data, setting=setting)


def claim_folder(folder: Path, info: dict[str, Any]) -> None:
    """Mark a folder as that of a study, or check that it is.

    Raises:
        UsageError: it has something else, or a study with another configuration.
    """
    path = folder / CONFIG
    text = json.dumps(info, indent=2) + "\n"
    if path.exists():
        if path.read_text("utf-8") != text:
            raise UsageError(
                f"{folder} contains a few-shot study with other settings: choose another folder with -o"
            )
    elif folder.exists() and any(folder.iterdir()):
        raise UsageError(f"{folder} exists and is not the folder of a few-shot study: choose another with -o")
    else:
        atomic_write(path, text)


def score_trials(
    save: SAVE,
    data: FewShotData,
    config: FewShotConfig,
    folder: Path,
    *,
    log: Callable[[str], None] = lambda _: None,
) -> list[FewShotScores]:
    """Score all trials; those in the folder are not repeated.

    Args:
        save: frozen, in evaluation mode; baselines use its encoders.
        data: seen frames and trials.
        config: sizes and budgets.
        folder: where trained baselines and scored trials are kept.
        log: called with lines about the progress.
    """
    log(f"{len(data.seen)} frames of {len(data.seen.rows_by_class())} seen classes")
    methods = make_methods(save, data.seen, config, folder / BASELINES, data.seen_clips)
    log("baselines trained")
    scores = []
    for trial in data.trials:
        path = folder / TRIALS / f"{trial.name}.npz"
        if not path.exists():
            score_trial(trial, methods, config.seed).save(path)
            log(f"{trial.name} done")
        scores.append(FewShotScores.load(path, methods))
    return scores
