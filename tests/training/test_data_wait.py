"""Reports of waiting for data."""

from __future__ import annotations

import pytest

from save_avs.training.callbacks.callback import WINDOW
from save_avs.training.callbacks.data_wait import WARMUP, DataWaitMonitor
from tests.support.training_runs import STEPS, stats


def lines_of(waits: list[float], *, step: int = 0) -> list[str]:
    """Return the messages for steps of a tenth of a second with these shares of waiting."""
    lines: list[str] = []
    callback = DataWaitMonitor(lines.append, workers=2)
    callback.on_stage_begin("1-scenes", step, STEPS)
    for wait in waits:
        step += 1
        callback.on_step_end(stats(step, data_wait=wait))
    return lines


def test_long_wait_is_reported_once_with_advice():
    (line,) = lines_of([0.5] * STEPS)
    assert line.startswith(
        "1-scenes: 50% of the time is spent waiting for data, 50 ms per step: increase workers"
    )
    assert "(now 2)" in line and "save-avs data features" in line


@pytest.mark.parametrize(
    "waits",
    [
        [0.15] * STEPS,
        [0.9] * WARMUP + [0.0] * WINDOW,  # workers start
        [0.9] * (WARMUP + WINDOW - 1),  # not enough seen
    ],
)
def test_short_or_early_wait_is_not_reported(waits):
    assert lines_of(waits) == []


def test_resumed_stage_warms_up_again():
    assert lines_of([0.9] * WARMUP + [0.0] * WINDOW, step=100) == []


def test_each_stage_is_reported():
    lines: list[str] = []
    callback = DataWaitMonitor(lines.append, workers=0)
    for stage in ("a", "b"):
        callback.on_stage_begin(stage, 0, STEPS)
        for step in range(1, STEPS):
            callback.on_step_end(stats(step, data_wait=0.4))
    assert [line.split(":")[0] for line in lines] == ["a", "b"]
