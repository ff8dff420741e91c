"""A trained model on what its study scores all of them on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from save_avs.datasets import open_dataset
from save_avs.evaluation.benchmark import evaluate_clips
from save_avs.evaluation.prompted import evaluate_prompted
from save_avs.evaluation.scenes import SceneReport, evaluate_scenes
from save_avs.models import SAVE
from save_avs.runtimes import load_model
from save_avs.synthesis.corpus import Corpus
from save_avs.synthesis.scene import SceneOptions
from save_avs.synthesis.streams import EVAL_OPTIONS
from save_avs.training.stage import ClipStage, SyntheticStage
from studies.result import Row, Scores
from studies.runs import Run, starting_folders

PROTOCOL = "official"
CLIP = "clip"


def score(run: Run, folder: Path, progress: Callable[[int, int], None]) -> Scores:
    """Estimate the model in a folder on scenes, or on the clips of the data set that its last stage is on.

    Raises:
        UsageError: when what it is scored on is not there.
    """
    model = _loaded(run, folder)
    if isinstance(run.stage, ClipStage):
        return _on_clips(model, run, run.stage, progress)
    return _on_scenes(model, run, run.stage, progress)


def score_start(run: Run, progress: Callable[[int, int], None]) -> Scores:
    """Estimate the SAM that the last stage starts from, asked by the run's prompt.

    Raises:
        UsageError: when it is not there.
    """
    assert run.prompt is not None and isinstance(run.stage, SyntheticStage)
    (folder,) = starting_folders(run)
    how = run.evaluation
    report = evaluate_prompted(
        _loaded(run, folder),
        Corpus.load(run.recipe.corpus or "", how.split),
        run.prompt,
        scenes=how.scenes,
        seed=how.seed,
        options=_options(run, run.stage),
        progress=lambda done: progress(done, how.scenes),
    )
    return _scores(report)


def _loaded(run: Run, folder: Path) -> SAVE:
    """The model in the precision of its training, float32 for float16."""
    precision = "bf16" if run.recipe.precision == "bf16" else "fp32"
    return load_model(folder, device=run.recipe.device, precision=precision)


def _on_scenes(model: SAVE, run: Run, stage: SyntheticStage, progress: Callable[[int, int], None]) -> Scores:
    how = run.evaluation
    report = evaluate_scenes(
        model,
        Corpus.load(run.recipe.corpus or "", how.split),
        scenes=how.scenes,
        seed=how.seed,
        options=_options(run, stage),
        compare_at=how.compare_at,
        progress=lambda done: progress(done, how.scenes),
    )
    return _scores(report)


def _options(run: Run, stage: SyntheticStage) -> SceneOptions:
    """Scenes as the model is to know them, as photographs show them, in each of which something sounds."""
    drawn = (run.evaluation.drawn or stage.scenes).options()
    return replace(
        drawn,
        augment=False,
        texture_prob=EVAL_OPTIONS.texture_prob,
        source_count_probs=EVAL_OPTIONS.source_count_probs,
    )


def _scores(report: SceneReport) -> Scores:
    rows = (
        Row(str(one.scene), str(one.scene), one.kind, float(one.value), float(one.target_area))
        for one in report.trials
    )
    return Scores(figures={"f": report.f_score}, rows=tuple(rows))


def _on_clips(model: SAVE, run: Run, stage: ClipStage, progress: Callable[[int, int], None]) -> Scores:
    clips = open_dataset(stage.data.name, stage.data.root, run.evaluation.split)
    report = evaluate_clips(
        model,
        clips,
        (PROTOCOL,),
        resamples=2,  # its intervals are not used: seeds belong into them
        progress=lambda seen: progress(round(seen.time), len(clips)),
    )
    scored = report.scores[0]
    table, evidence = report.clip_scores.tables[scored.protocol.scoring], report.clip_scores
    shares = table.pixels[:, [0, 2]].sum(1) / table.pixels.sum(1)
    values = evidence.mean_ious(scored.protocol.scoring)
    rows = zip(evidence.names, evidence.sources, values, shares.tolist(), strict=True)
    return Scores(
        figures={"f": scored.overall.scores["f"].value},
        rows=tuple(Row(name, source, CLIP, value, share) for name, source, value, share in rows),
    )
