"""The audio sensitivity study: models and trivial baselines on the same frames and sounds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from save_avs.errors import DataError
from save_avs.inference.predictor import FrameModel
from studies.audio_sensitivity import trials as conditions
from studies.audio_sensitivity.baselines import BASELINES
from studies.audio_sensitivity.charts import SensitivityExample, make_charts, make_example
from studies.audio_sensitivity.results import SensitivityResults, mean_own_iou
from studies.audio_sensitivity.tables import make_tables
from studies.audio_sensitivity.trials import SensitivityScore, SensitivityTrial, score_trials
from studies.report import StudyReport

EXAMPLES = 5
_QUESTION = "Does the model mark the sounding object, or the same object under any sound?"
_WRONG_SOUNDS = {
    conditions.IN_VIEW: "the sound of another object in view",
    conditions.ABSENT: "the sound of an object not in view",
    conditions.OTHER_CLIP: "another clip's sound",
}


def run_audio_sensitivity(
    models: Mapping[str, FrameModel],
    trials: Iterable[list[SensitivityTrial]],
    *,
    setting: Mapping[str, str],
    seed: int = 0,
    progress: Callable[[int], None] = lambda _: None,
) -> StudyReport:
    """Score every model in every trial, and report.

    Args:
        models: by name in the report; examples are of the first.
        trials: from `scene_trials` or `clip_trials`: a frame under each sound at a time.
        setting: what is needed to reproduce the study.
        seed: of intervals and tests.
        progress: called with the number of frames done.

    Raises:
        DataError: no frame has a sounding object, or there is only one clip, so no sound can be swapped.
    """
    baselines = {kind.name: kind() for kind in BASELINES}
    scores: dict[str, list[SensitivityScore]] = {name: [] for name in (*models, *baselines)}
    examples: dict[str, SensitivityExample] = {}  # by source
    first = next(iter(models.values()))
    for done, part in enumerate(trials, 1):
        for name, model in {**models, **baselines}.items():
            scores[name] += score_trials(model, part)
        if len(examples) < EXAMPLES and (example := make_example(first, part)) is not None:
            examples.setdefault(part[0].frame.source, example)
        progress(done)
    results = {name: SensitivityResults(tuple(found)) for name, found in scores.items()}
    ours, trivial = ({name: results[name] for name in group} for group in (models, baselines))
    if not next(iter(ours.values())).wrong_sounds():
        raise DataError("No frame could be paired with a wrong sound: there is nothing to swap.")
    return StudyReport(
        name="audio-sensitivity",
        title="Audio sensitivity",
        question=_QUESTION,
        setting=setting,
        text=tuple(_describe_score(name, found, seed) for name, found in ours.items()),
        tables=tuple(make_tables(ours, trivial, seed=seed)),
        charts=tuple(make_charts(ours, trivial, list(examples.values()), seed=seed)),
    )


def _describe_score(name: str, results: SensitivityResults, seed: int) -> str:
    wrong = results.wrong_sounds()[0]
    miou = mean_own_iou(results.under(conditions.MATCHED), seed=seed)
    return (
        f"{name}: listening score {results.listening(wrong, seed=seed)}. Of its mIoU with the sounding "
        f"pixels, {miou.value:.3f}, that share is lost under {_WRONG_SOUNDS[wrong]}. A model that ignores "
        "sound scores 0, as do the last three of the table."
    )
