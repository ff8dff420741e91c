"""Tables of the audio sensitivity report."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from typing import NamedTuple

from studies.audio_sensitivity import trials as conditions
from studies.audio_sensitivity.listening_score import listening_difference
from studies.audio_sensitivity.results import (
    LEVELED,
    Grouping,
    SensitivityResults,
    by_class,
    by_objects,
    by_sources,
    mean_area,
    mean_iou,
    mean_own_iou,
)
from studies.report import Cell, Table, difference_cell

UNITS = {
    conditions.SHIFTED: "s later",
    conditions.MIXED: "dB SNR",
    conditions.MIXED_NOISE: "dB SNR",
    conditions.DISTRACTORS: "silent objects added",
}
_WITHOUT_LEVELS = (
    conditions.MATCHED,
    conditions.IN_VIEW,
    conditions.ABSENT,
    conditions.OTHER_CLIP,
    conditions.NOISE,
    conditions.MUTED,
)


class _GroupTable(NamedTuple):
    name: str
    title: str
    column: str
    grouping: Grouping


_GROUP_TABLES = (
    _GroupTable("by_sources", "By number of sounding classes", "sounding", by_sources),
    _GroupTable("by_objects", "By number of objects in view", "in view", by_objects),
    _GroupTable("by_class", "By class of the sounding object", "class", by_class),
)

Results = Mapping[str, SensitivityResults]


def make_tables(models: Results, baselines: Results, *, seed: int) -> list[Table]:
    """Make all tables: scores, comparisons of models, conditions, levels, groups."""
    tables = [_score_table({**models, **baselines}, seed)]
    if len(models) > 1:
        tables.append(_comparison_table(models, seed))
    tables += [_condition_table(models, seed), _level_table(models, seed)]
    return tables + [
        _group_table(models, group, seed)
        for group in _GROUP_TABLES
        if any(results.grouped(group.grouping) for results in models.values())
    ]


def _wrong_sounds(models: Results) -> tuple[str, ...]:
    return next(iter(models.values())).wrong_sounds()


def _score_table(models: Results, seed: int) -> Table:
    wrong = _wrong_sounds(models)
    rows = tuple(
        (
            name,
            *(results.listening(kind, seed=seed) for kind in wrong),
            mean_own_iou(results.under(conditions.MATCHED), seed=seed),
        )
        for name, results in models.items()
    )
    columns = ("model", *(f"listening ({kind})" for kind in wrong), "mIoU, own sound")
    return Table(
        "scores",
        "Listening scores by kind of wrong sound, and mIoU under the frame's own sound",
        columns,
        rows,
    )


def _comparison_table(models: Results, seed: int) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for (first, ours), (second, theirs) in combinations(models.items(), 2):
        for kind in ours.wrong_sounds():
            swaps = ours.sound_swaps(kind), theirs.sound_swaps(kind)
            difference = listening_difference(*swaps, seed=seed)
            rows.append((second, first, kind, difference_cell(difference, len(swaps[0])), difference.p))
    columns = ("model", "against", "wrong sound", "difference in listening", "p")
    return Table("comparison", "Differences between models on the same frames", columns, tuple(rows))


def _condition_table(models: Results, seed: int) -> Table:
    rows = [
        (
            name,
            condition,
            mean_own_iou(scores, seed=seed),
            mean_iou(scores, seed=seed),
            mean_area(scores, seed=seed),
            len(scores),
        )
        for name, results in models.items()
        for condition in _WITHOUT_LEVELS
        if (scores := results.under(condition))
    ]
    columns = ("model", "sound", "mIoU, own sources", "mIoU, this sound's sources", "share marked", "frames")
    return Table("conditions", "The same frames under each sound", columns, tuple(rows))


def _level_table(models: Results, seed: int) -> Table:
    rows = [
        (
            name,
            condition,
            f"{level:g} {UNITS[condition]}",
            mean_own_iou(scores, seed=seed),
            mean_iou(scores, seed=seed) if condition == conditions.SHIFTED else None,
            len(scores),
        )
        for name, results in models.items()
        for condition in LEVELED
        for level in results.levels(condition)
        if (scores := results.under(condition, level))
    ]
    columns = ("model", "condition", "level", "mIoU, own sources", "mIoU, later sources", "frames")
    return Table("levels", "Shifts, mixtures, distractors", columns, tuple(rows))


def _group_table(models: Results, group: _GroupTable, seed: int) -> Table:
    wrong = _wrong_sounds(models)
    rows = [
        (
            model,
            name,
            mean_own_iou(matched, seed=seed),
            *(part.listening(kind, seed=seed) for kind in wrong),
            len(matched),
        )
        for model, results in models.items()
        for name, part in results.grouped(group.grouping).items()
        if (matched := part.under(conditions.MATCHED))
    ]
    listening = (f"listening ({kind})" for kind in wrong)
    columns = ("model", group.column, "mIoU, own sound", *listening, "frames")
    return Table(group.name, group.title, columns, tuple(rows))
