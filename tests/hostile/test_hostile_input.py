"""Some of the hostile and broken inputs; all of them: python tests/hostile/run.py."""

from __future__ import annotations

import sys

import pytest

from tests.support.hostile import run_cases as run


@pytest.mark.skipif(sys.platform != "linux", reason="reads what a case takes from /proc")
def test_each_gives_a_result_or_a_line():
    found = list(run.reports(run.chosen([], quick=True)))
    assert len(found) >= 60
    assert {report.name: f"{report.wrong}: {report.said}" for report in found if report.wrong} == {}


def test_there_are_hundreds_of_them_of_every_kind():
    rooms = [case.room for case in run.CASES.values()]
    assert len(rooms) >= 300
    assert set(rooms) == {"media", "weights", "recipe", "masks", "tree", "shards", "corpus"}


def test_what_is_lost_is_seen(monkeypatch, capfd):
    """The harness itself: errors that are not told in words, and what is left half-written."""
    from save_avs.cli import app
    from tests.support.hostile import attempt
    from tests.support.hostile.case import Case, written

    def fail(folder: str) -> None:
        raise ValueError(folder)

    monkeypatch.setattr(app, "registered_commands", list(app.registered_commands))
    app.command("hostile")(fail)

    def wrong(*arguments: str) -> str:
        case = Case("media/x", written("x", b""), lambda _, out: [*arguments, str(out)], (1,))
        with capfd.disabled():
            return attempt.attempt(case).wrong

    assert "not told in words" in wrong("hostile")
    assert "exit code 2 where 1" in wrong("segment")
