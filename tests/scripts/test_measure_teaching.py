"""Bad input of `scripts/measure_teaching.py`: one line, exit code 2, and no file."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import yaml

from scripts import measure_teaching


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr(sys, "argv", ["measure_teaching.py", *map(str, arguments)])
    with pytest.raises(SystemExit) as exit:
        measure_teaching.main()
    return int(exit.value.code or 0)


def test_missing_stamps_clips_and_objects_are_named_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "out.csv"
    given = (tmp_path, "--root", tmp_path, "-o", output)
    assert run(monkeypatch, *given) == 2
    assert capsys.readouterr().err.count("has no cutout magpie") == 1
    stamps = tmp_path / "cutouts/silent"
    stamps.mkdir(parents=True)
    for parts in yaml.safe_load(measure_teaching.OBJECTS.read_text("utf-8")).values():
        for stem in (*parts["teach"], *parts["test"]):
            (stamps / f"{stem}.png").touch()
    assert run(monkeypatch, *given) == 2
    assert "too few clips of chirping-birds" in capsys.readouterr().err
    assert run(monkeypatch, *given, "--objects", "cat") == 2
    assert "no cat; choose from bird" in capsys.readouterr().err
    assert not output.exists()


def test_recordings_that_teach_have_three_sources_and_none_of_those_that_test(tmp_path: Path) -> None:
    names = [row["clip"] for row in measure_teaching.free_clips() if row["sound"] == "wind"]
    for name in names:
        (tmp_path / f"{name}.opus").touch()
    teach, tests = measure_teaching.find_recordings(tmp_path, "wind")
    assert len({path.name.split("-")[1] for path in teach}) == len(teach) == 3
    assert {path.name[0] for path in tests} == {"5"} and "5" not in {path.name[0] for path in teach}
