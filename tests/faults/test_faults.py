"""An interrupted command resumes when it is run again; all faults: python -m tests.support.faults.disturb."""

from __future__ import annotations

import sys

import pytest

from tests.support.faults import disturb

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads memory from /proc")


@pytest.mark.slow
@pytest.mark.parametrize("signal", ["SIGKILL", "SIGTERM"])
def test_interrupted_fetch_resumes_to_the_same_file(signal: str) -> None:
    rows = disturb.run(["fetch", signal], tries=1, seed=1)
    row = rows["fetch", signal]
    assert (row.tried, row.lost, row.silent) == (1, [], 0)
