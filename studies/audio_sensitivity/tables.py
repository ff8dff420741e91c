"""The tables of a listening study."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from typing import NamedTuple

from save_avs.metrics.bootstrap import Estimate
from save_avs.metrics.listening_score import listening_difference
from studies.audio_sensitivity import trials as kinds
from studies.audio_sensitivity.results import (
    DEGREES,
    Group,
    Results,
    by_class,
    by_objects,
    by_sources,
    listening,
    mean_area,
    mean_heard,
    mean_own,
)
from studies.report import Cell, Sheet

UNITS = {
    kinds.SHIFTED: "s later",
    kinds.MIXED: "dB over it",
    kinds.MIXED_NOISE: "dB over it",
    kinds.DISTRACTORS: "silent things added",
}
_PLAIN = (kinds.MATCHED, kinds.IN_VIEW, kinds.ABSENT, kinds.OTHER_CLIP, kinds.NOISE, kinds.MUTED)


class _Grouping(NamedTuple):
    name: str
    title: str
    column: str
    group: Group


_GROUPINGS = (
    _Grouping("by_sources", "By the number of classes that sound", "sounding", by_sources),
    _Grouping("by_objects", "By the number of things in view", "in view", by_objects),
    _Grouping("by_class", "By class of what sounds", "class", by_class),
)


def make_sheets(models: Mapping[str, Results], trivial: Mapping[str, Results], *, seed: int) -> list[Sheet]:
    """Every table: scores, comparisons of models, conditions, degrees, classes, numbers of things."""
    sheets = [_scores({**models, **trivial}, seed)]
    if len(models) > 1:
        sheets.append(_comparisons(models, seed))
    sheets += [_conditions(models, seed), _degrees(models, seed)]
    return sheets + [
        _groups(models, grouping, seed)
        for grouping in _GROUPINGS
        if any(results.grouped(grouping.group) for results in models.values())
    ]


def _scores(models: Mapping[str, Results], seed: int) -> Sheet:
    wrong = next(iter(models.values())).wrong_sounds()
    return Sheet(
        "scores",
        "Listening scores, 0 deaf to 1, by the kind of wrong sound, beside the fit under the right one",
        ("model", *(f"listening ({kind})" for kind in wrong), "mIoU, own sound"),
        tuple(
            (
                name,
                *(listening(results, kind, seed=seed) for kind in wrong),
                mean_own(results.under(kinds.MATCHED), seed=seed),
            )
            for name, results in models.items()
        ),
    )


def _comparisons(models: Mapping[str, Results], seed: int) -> Sheet:
    rows: list[tuple[Cell, ...]] = []
    for (first, ours), (second, theirs) in combinations(models.items(), 2):
        for kind in ours.wrong_sounds():
            hearings = ours.hearings(kind), theirs.hearings(kind)
            found = listening_difference(*hearings, seed=seed)
            difference = Estimate(found.value, found.low, found.high, len(hearings[0]))
            rows.append((second, first, kind, difference, found.p))
    columns = ("model", "against", "wrong sound", "difference in listening", "p")
    return Sheet("comparison", "Who listens better, on the same frames", columns, tuple(rows))


def _conditions(models: Mapping[str, Results], seed: int) -> Sheet:
    rows = [
        (
            name,
            condition,
            mean_own(answers, seed=seed),
            mean_heard(answers, seed=seed),
            mean_area(answers, seed=seed),
            len(answers),
        )
        for name, results in models.items()
        for condition in _PLAIN
        if (answers := results.under(condition))
    ]
    columns = ("model", "sound", "mIoU with own sources", "mIoU with what is heard", "share marked", "frames")
    return Sheet("conditions", "The same pictures under each sound", columns, tuple(rows))


def _degrees(models: Mapping[str, Results], seed: int) -> Sheet:
    rows = [
        (
            name,
            condition,
            f"{level:g} {UNITS[condition]}",
            mean_own(answers, seed=seed),
            mean_heard(answers, seed=seed) if condition == kinds.SHIFTED else None,
            len(answers),
        )
        for name, results in models.items()
        for condition in DEGREES
        for level in results.levels(condition)
        if (answers := results.under(condition, level))
    ]
    columns = ("model", "how", "degree", "mIoU with what sounds", "mIoU with what sounds later", "frames")
    return Sheet("degrees", "Shifted, mixed, crowded", columns, tuple(rows))


def _groups(models: Mapping[str, Results], grouping: _Grouping, seed: int) -> Sheet:
    wrong = next(iter(models.values())).wrong_sounds()
    rows = [
        (
            model,
            part,
            mean_own(matched, seed=seed),
            *(listening(answers, kind, seed=seed) for kind in wrong),
            len(matched),
        )
        for model, results in models.items()
        for part, answers in results.grouped(grouping.group).items()
        if (matched := answers.under(kinds.MATCHED))
    ]
    columns = (
        "model",
        grouping.column,
        "mIoU, own sound",
        *(f"listening ({kind})" for kind in wrong),
        "frames",
    )
    return Sheet(grouping.name, grouping.title, columns, tuple(rows))
