"""Some of the faults; all of them: python tests/faults/disturb.py."""

from __future__ import annotations

import random
import sys
from dataclasses import replace

import pytest

from tests.support.faults import disturb
from tests.support.faults.fault_table import FAULTS, Fault, Life, Whole

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")

FAULT = {fault.name: fault for fault in FAULTS}


@pytest.fixture
def fetch():
    with disturb.published() as every:
        yield every["fetch"]


@pytest.mark.slow
def test_a_fetch_that_is_killed_goes_on(fetch):
    rows = disturb.run(["fetch", "SIGKILL"], tries=2, seed=1)
    assert list(rows) == [("fetch", "SIGKILL")]
    assert rows["fetch", "SIGKILL"].tried == 2 and rows["fetch", "SIGKILL"].lost == []


def test_what_is_lost_is_seen(fetch):
    """The harness itself: a file that is torn and called done, one that never comes, one that hangs."""
    whole, wanted = Whole(1.0, 1, 1), {"published/published.pth": "0123456789abcdef"}

    def left_alone(code: int | None) -> Fault:
        return Fault("nothing", lambda *_: Life(code, ""))

    def tried(trade, fault) -> str:
        return disturb.attempt(trade, fault, whole, wanted, random.Random(0)).wrong

    torn = replace(fetch, done=lambda place: {"published/published.pth": "torn"})
    assert tried(torn, left_alone(-9)) == "then published/published.pth differs"
    assert tried(replace(fetch, ask=lambda _: ["--help"]), left_alone(-9)).endswith("is missing")
    assert tried(replace(fetch, ask=lambda _: ["weights"]), left_alone(-9)).startswith("going on ends with 2")
    assert tried(fetch, left_alone(None)).startswith("did not end")


def test_an_error_that_is_not_told_in_words_is_seen():
    assert (
        disturb.told(Life(-9, ""))
        and disturb.told(Life(1, "save-avs: no room\n"))
        and disturb.told(Life(0, ""))
    )
    assert not disturb.told(Life(1, "")) and not disturb.told(Life(1, "Traceback (most recent call last):\n"))
