"""Gross regressions of speed, as ratios to other implementations in one run, and the history of releases."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def releases(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))  # as for a script there
    import releases

    return releases


@pytest.mark.parametrize("name", ["encoder, float32", "run-length codes"])
def test_ratio_is_not_far_below_what_it_was(releases, name):
    """Another program's burst may spoil a run, never three of them."""
    ratios = []
    for _ in range(3):
        ratios.append(releases.measure(name, rounds=2)["ratio"])
        if ratios[-1] >= releases.LEAST[name]:
            return
    pytest.fail(
        f"{name}: {ratios} times as fast as {releases.PAIRS[name][1]}; at least {releases.LEAST[name]}"
    )


def test_this_version_has_results_and_the_page_shows_them(releases):
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    result = json.loads((ROOT / "benchmarks" / "results" / f"{version}.json").read_text())
    assert [one["name"] for one in result["ratios"]] == list(releases.PAIRS)
    for one in result["ratios"]:
        assert one["ratio"] == pytest.approx(one["theirs_ms"] / one["ours_ms"], abs=0.02)
        assert one["ratio"] >= releases.LEAST.get(one["name"], 0)
    assert releases.table() in (ROOT / "docs" / "lab-notes" / "releases.md").read_text()
