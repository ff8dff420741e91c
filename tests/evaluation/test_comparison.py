"""Two models on the same clips."""

from __future__ import annotations

import json

import pytest

from save_avs.evaluation.benchmark import evaluate_clips
from save_avs.evaluation.comparison import compare
from tests.support.clip_sets import CLASSES, Bright, make_clips

FAST = {"resamples": 40}
PROTOCOLS = ("official", "dataset", "cavp")


def test_worse_model_loses_significantly() -> None:
    clips = make_clips([2] * 16)
    good, bad = (evaluate_clips(Bright(shift=s), clips, PROTOCOLS, **FAST) for s in (0, 45))
    comparison = compare(good, bad, names=("good", "bad"), permutations=499)
    assert (comparison.clips, comparison.sources) == (16, 8)
    assert [(r.protocol, r.metric) for r in comparison.rows] == [
        (p, m) for p in PROTOCOLS for m in ("miou", "f")
    ]
    for row in comparison.rows:
        assert row.difference.value == pytest.approx(row.second - row.first)
        if row.metric == "miou":
            assert row.difference.high < 0 and row.difference.p <= 2 / 2**7
    assert "bad against good, on the same 16 clips of 8 source videos" in comparison.table()
    assert json.loads(json.dumps(comparison.as_json()))["rows"][0]["difference"]["p"] < 0.02


def test_model_equals_itself_on_masks_and_label_maps() -> None:
    clips = make_clips([2] * 6, labeled=True)
    report = evaluate_clips(Bright(classes=CLASSES), clips, ["official"], **FAST)
    comparison = compare(report, report, permutations=49)
    assert len(comparison.rows) == 2 + 3 * 2
    assert all(row.difference.value == 0 and row.difference.p == 1 for row in comparison.rows)
    assert comparison.rows[-1].protocol == "labels (no-background)"


def test_reports_of_other_clips_or_protocols_are_refused() -> None:
    first = evaluate_clips(Bright(), make_clips([2, 2]), ["official"], **FAST)
    with pytest.raises(ValueError, match="different clips"):
        compare(first, evaluate_clips(Bright(), make_clips([2]), ["official"], **FAST))
    with pytest.raises(ValueError, match="different protocols"):
        compare(first, evaluate_clips(Bright(), make_clips([2, 2]), ["gavs"], **FAST))
