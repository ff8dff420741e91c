"""Scoring of a trained model on the scenes or clips of its study, and inference time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from save_avs.datasets import open_dataset
from save_avs.evaluation.benchmark import evaluate_clips
from save_avs.evaluation.runtime_speed import time_call, time_interleaved
from save_avs.evaluation.scenes import SceneReport, evaluate_scenes
from save_avs.models import SAVE, build_save
from save_avs.models.precision import resolve_precision, set_precision
from save_avs.runtimes import load_model
from save_avs.runtimes.loading import resolve_device
from save_avs.synthesis.corpus import Corpus
from save_avs.synthesis.sample_streams import EVAL_OPTIONS, calibration_frames
from save_avs.synthesis.scene import SceneOptions
from save_avs.training.recipe import Recipe
from save_avs.training.stage_config import ClipStage, SyntheticStage
from save_avs.training.stage_setup import stage_config
from studies.config import Run
from studies.prompted_scenes import evaluate_prompted
from studies.results import Unit

PROTOCOL = "official"
CLIP = "clip"  # kind of the units of a dataset
BATCH_SIZE, ROUNDS = 8, 7  # of the timing


class UnitScores(NamedTuple):
    """The F-score over all units, and the value of each."""

    f_score: float
    values: dict[Unit, float]


def score_model(run: Run, folder: Path, progress: Callable[[int, int], None]) -> UnitScores:
    """Score the model in a folder on scenes, or on the clips of the last stage's dataset.

    Raises:
        UsageError: the corpus or the dataset is missing.
    """
    model = _load(run, folder)
    if isinstance(run.stage, ClipStage):
        return _score_clips(model, run, run.stage, progress)
    evaluation = run.evaluation
    report = evaluate_scenes(
        model,
        Corpus.load(run.recipe.corpus or "", evaluation.split),
        scenes=evaluation.scenes,
        seed=evaluation.seed,
        options=_scene_options(run, run.stage),
        compare_at=evaluation.compare_at,
        progress=lambda done: progress(done, evaluation.scenes),
    )
    return _scene_scores(report)


def score_prompted(run: Run, progress: Callable[[int, int], None]) -> UnitScores:
    """Score the SAM that the last stage starts from with the run's prompt.

    Raises:
        UsageError: the model is missing.
    """
    assert run.prompt is not None and isinstance(run.stage, SyntheticStage)
    (folder,) = run.start_folders()
    evaluation = run.evaluation
    report = evaluate_prompted(
        _load(run, folder),
        Corpus.load(run.recipe.corpus or "", evaluation.split),
        run.prompt,
        scenes=evaluation.scenes,
        seed=evaluation.seed,
        options=_scene_options(run, run.stage),
        progress=lambda done: progress(done, evaluation.scenes),
    )
    return _scene_scores(report)


def _load(run: Run, folder: Path) -> SAVE:
    """Load a model in the precision of its training, fp32 for fp16."""
    precision = "bf16" if run.recipe.precision == "bf16" else "fp32"
    return load_model(folder, device=run.recipe.device, precision=precision)


def _scene_options(run: Run, stage: SyntheticStage) -> SceneOptions:
    """The stage's scenes, not augmented, on photographs, each with a sounding object."""
    options = (run.evaluation.scene_options or stage.scenes).options()
    return replace(
        options,
        augment=False,
        texture_prob=EVAL_OPTIONS.texture_prob,
        source_count_probs=EVAL_OPTIONS.source_count_probs,
    )


def _scene_scores(report: SceneReport) -> UnitScores:
    values = {Unit(t.kind, str(t.scene), str(t.scene), t.target_area): t.value for t in report.trials}
    return UnitScores(report.f_score, values)


def _score_clips(model: SAVE, run: Run, stage: ClipStage, progress: Callable[[int, int], None]) -> UnitScores:
    clips = open_dataset(stage.data.name, stage.data.root, run.evaluation.split)
    report = evaluate_clips(
        model,
        clips,
        (PROTOCOL,),
        resamples=2,  # its intervals are not used: those of the study include seeds
        progress=lambda seen: progress(round(seen.time), len(clips)),
    )
    protocol = report.scores[0]
    scores = report.clip_scores
    pixels = scores.tables[protocol.protocol.scoring].pixels
    areas = (pixels[:, [0, 2]].sum(1) / pixels.sum(1)).tolist()
    rows = zip(scores.names, scores.sources, areas, scores.mean_ious(protocol.protocol.scoring), strict=True)
    values = {Unit(CLIP, name, source, area): iou for name, source, area, iou in rows}
    return UnitScores(protocol.overall.scores["f"].value, values)


@torch.inference_mode()
def measure_ms_per_frame(recipes: Mapping[str, Recipe], rounds: int = ROUNDS) -> dict[str, float]:
    """Median milliseconds per frame of each model, with random weights, timed interleaved."""
    runs: dict[str, Callable[[], float]] = {}
    for name, recipe in recipes.items():
        model = build_save(stage_config(recipe.model, recipe.stages[-1], None)).eval()
        device = resolve_device(recipe.device)
        model = set_precision(model, resolve_precision("auto", device)).to(device)
        inputs = [x.to(device) for x in calibration_frames(BATCH_SIZE, model.image_size, model.frontend)]
        runs[name] = partial(time_call, partial(_run_synchronized, model, *inputs))
    return {name: 1e3 * s / BATCH_SIZE for name, s in time_interleaved(runs, rounds).items()}


def _run_synchronized(model: SAVE, images: Tensor, log_mel: Tensor) -> float:
    return float(model(images, log_mel).sum())  # reading the sum waits for the device
