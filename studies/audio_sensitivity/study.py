"""The listening study: models and what needs no ears, asked about the same pictures under the same sounds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from save_avs.errors import DataError
from save_avs.inference.predictor import FrameModel
from studies.audio_sensitivity import trials as kinds
from studies.audio_sensitivity.baselines import TRIVIAL
from studies.audio_sensitivity.charts import make_charts
from studies.audio_sensitivity.examples import Example, example_of
from studies.audio_sensitivity.results import Results, listening, mean_own
from studies.audio_sensitivity.tables import make_sheets
from studies.audio_sensitivity.trials import Answer, Trial, answer
from studies.report import StudyReport

EXAMPLES = 5  # pictures shown
_QUESTION = "Does the model mark what is heard, or what it would mark whatever is heard?"


def study_listening(
    models: Mapping[str, FrameModel],
    trials: Iterable[list[Trial]],
    *,
    setting: Mapping[str, str],
    seed: int = 0,
    progress: Callable[[int], None] = lambda _: None,
) -> StudyReport:
    """Ask every model about every trial.

    Args:
        models: by what the report calls them, the one whose pictures are shown first.
        trials: `scene_trials` or `clip_trials`: a picture under each sound at a time.
        setting: what one needs to know to do it again.
        seed: of intervals and tests.
        progress: called with the number of pictures done.

    Raises:
        DataError: something sounds in no frame, or there is but one clip, so that nothing can be swapped.
    """
    deaf = {kind.name: kind(64) for kind in TRIVIAL}
    found: dict[str, list[Answer]] = {name: [] for name in (*models, *deaf)}
    examples: dict[str, Example] = {}  # one a source
    first = next(iter(models.values()))
    for done, asked in enumerate(trials, 1):
        for name, model in {**models, **deaf}.items():
            found[name] += answer(model, asked)
        if len(examples) < EXAMPLES and (shown := example_of(first, asked)) is not None:
            examples.setdefault(asked[0].item.source, shown)
        progress(done)
    results = {name: Results(tuple(answers)) for name, answers in found.items()}
    heard, trivial = ({name: results[name] for name in group} for group in (models, deaf))
    if not results or not next(iter(heard.values())).wrong_sounds():
        raise DataError("no picture could be heard with a wrong sound: there is nothing to swap")
    return StudyReport(
        name="listening",
        title="Does it listen?",
        question=_QUESTION,
        setting=setting,
        text=tuple(_said(name, r, seed) for name, r in heard.items()),
        sheets=tuple(make_sheets(heard, trivial, seed=seed)),
        charts=tuple(make_charts(heard, trivial, list(examples.values()), seed=seed)),
    )


def _said(name: str, results: Results, seed: int) -> str:
    """The score in words."""
    quoted = results.wrong_sounds()[0]
    score = listening(results, quoted, seed=seed)
    fit = mean_own(results.under(kinds.MATCHED), seed=seed)
    what = {
        kinds.IN_VIEW: "the sound of another thing in view",
        kinds.ABSENT: "the sound of a thing not in view",
        kinds.OTHER_CLIP: "another clip's sound",
    }[quoted]
    return (
        f"{name}: listening score {score}. Of its fit to what sounds, mIoU {fit.value:.3f}, that share goes "
        f"when {what} is heard instead. A model that does not hear scores 0, as do the table's last three."
    )
