"""Hostile and broken inputs, the quick ones; all: python -m tests.support.hostile.run_cases."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from tests.support.hostile.run_cases import CaseRunner, chosen


@pytest.fixture(scope="session")
def runner() -> Iterator[CaseRunner]:
    with CaseRunner() as runner:
        yield runner


@pytest.mark.exhaustive
@pytest.mark.skipif(sys.platform != "linux", reason="reads memory and open files from /proc")
@pytest.mark.parametrize("name", chosen([], quick=True), ids=ascii)
def test_hostile_input_gives_a_result_or_one_error_line(name: str, runner: CaseRunner) -> None:
    report = runner.run(name)
    assert not report.wrong, f"exit code {report.code}: {report.said}"
