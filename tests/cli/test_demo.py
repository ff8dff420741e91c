"""`save-avs demo`, as a newcomer runs it: the bundled model on the bundled video."""

from __future__ import annotations

import json

import pytest

from save_avs.cli import main


@pytest.mark.slow
def test_demo_writes_an_overlay_and_prints_audio_events(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["demo"]) == 0
    out = capsys.readouterr().out
    assert "runs/demo/sample/overlay.mp4" in out
    assert out.index("audio events:") < out.index("%)") < out.index("sounding objects:")
    folder = tmp_path / "runs/demo/sample"
    assert (folder / "overlay.mp4").stat().st_size > 10_000
    summary = json.loads((folder / "summary.json").read_text())
    assert 0 < summary["marked_area"] < 0.5
    assert summary["spans"] and summary["warnings"] == []
