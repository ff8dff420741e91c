"""The progress of a training: lines where there is no terminal, a bar where there is one."""

from __future__ import annotations

import pytest

from save_avs.cli import _progress
from save_avs.cli._training_progress import TrainingProgress
from save_avs.training.callbacks.callback import StepStats


def stats(step: int) -> StepStats:
    return StepStats(step, 100, 0.12345, 2e-4, 41.26, 0.034, 1_240_000_000, 3723.0)


@pytest.fixture
def clock(monkeypatch) -> list[float]:
    now = [0.0]
    monkeypatch.setattr(_progress.time, "monotonic", lambda: now[0])
    return now


def test_lines_are_printed_at_intervals_and_at_the_end(clock, capsys):
    with TrainingProgress() as display:
        display.on_stage_begin("1-scenes", 0, 100)
        for step in range(1, 101):
            clock[0] = step
            display.on_step_end(stats(step))
        display.on_stage_end()
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(":")[0] for line in lines] == [f"1-scenes {n}/100" for n in (30, 60, 90, 100)]
    figures = "loss 0.1235  lr 0.0002  41.3 frames/s  data 3%  1.2 GB  1:02:03 left"
    assert lines[0] == f"1-scenes 30/100: {figures}"


def test_metrics_of_validations_are_always_printed(clock, capsys):
    with TrainingProgress() as display:
        display.on_stage_begin("1-scenes", 0, 100)
        display.on_log({"step": 50, "loss": 0.5, "lr": 1e-3})
        display.on_log({"step": 50, "val_miou": 0.61234, "val_f": 0.5})
        display.on_message("1-scenes: something")
    assert capsys.readouterr().err.splitlines() == [
        "1-scenes 50/100: validation  miou 0.6123  f 0.5",
        "1-scenes: something",
    ]


def test_a_terminal_shows_one_stage_at_a_time(clock, capsys, monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    with TrainingProgress() as display:
        for stage in ("1-scenes", "2-[clips]"):
            display.on_stage_begin(stage, 40, 100)
            display.on_step_end(stats(41))
        (task,) = display._bar.tasks
        assert (task.completed, task.total) == (41, 100)
        assert "41.3 frames/s" in task.fields["detail"] and "1:02:03 left" in task.fields["detail"]
        display.on_log({"step": 50, "val_miou": 0.5})
    assert "2-[clips] 50/100: validation  miou 0.5" in capsys.readouterr().err
