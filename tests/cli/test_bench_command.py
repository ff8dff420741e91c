"""`save-avs bench`, as it is typed; nothing here depends on how long anything took."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from save_avs.audio.frontend import VGGISH
from save_avs.cli import main
from save_avs.evaluation.runtime_speed import time_interleaved
from save_avs.metrics.frame_scores import mask_agreement
from save_avs.models import save_model
from save_avs.runtimes import RUNTIMES
from save_avs.runtimes import registry as store
from save_avs.runtimes.registry import fastest_runtime
from save_avs.synthesis.sample_streams import calibration_frames
from tests.support.tiny_model import shake, tiny_model


@pytest.fixture(autouse=True)
def only_torch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAVE_AVS_CACHE", str(tmp_path / "cache"))
    for name in list(RUNTIMES):
        monkeypatch.delitem(RUNTIMES, name)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    model = tiny_model()
    shake(model)
    return save_model(model, tmp_path / "model")


def test_choose_remembers_the_fastest_runtime(folder, capsys):
    assert main(["bench", str(folder), "--batch", "1", "--rounds", "1", "--json", "--choose"]) == 0
    out, err = capsys.readouterr()
    speeds = json.loads(out)["speeds"]
    ways = [(row["part"], row["runtime"], row["precision"]) for row in speeds]
    assert ways[0] == ("model", "torch", "fp32") and ("encoder", "torch", "fp32") in ways
    assert speeds[0]["ratio"] == 1 and speeds[0]["agreement"] == 1
    assert all(row["ms"] > 0 and row["share"] > 0 for row in speeds)
    assert "--runtime auto takes torch in fp32" in err
    assert fastest_runtime(folder, "fp32") == "torch" and str(store.runtime_dir()) in err


def test_a_table(folder, capsys):
    assert main(["bench", str(folder), "--batch", "1", "--rounds", "1"]) == 0
    title, head, rule, *rows = capsys.readouterr().out.splitlines()
    assert "batch 1" in title and "share of the limit" in head and "---" in rule
    assert len({line.count("|") for line in (head, rule, *rows)}) == 1


def test_wrong_options_are_one_line(folder, capsys):
    assert main(["bench", "save-vit-b", "--choose"]) == 2
    assert "--choose only applies to models" in capsys.readouterr().err
    assert main(["bench", str(folder), "--size", "512"]) == 2
    assert "--size only applies to presets" in capsys.readouterr().err


def test_runs_alternate_and_the_first_round_does_not_count():
    seen: list[str] = []

    def run(name: str, times: list[float]) -> float:
        seen.append(name)
        return times.pop(0)

    slow, quick = [99.0, 3.0, 5.0, 4.0], [99.0, 1.0, 1.0, 2.0]
    medians = time_interleaved({"slow": lambda: run("slow", slow), "quick": lambda: run("quick", quick)}, 3)
    assert medians == {"slow": 4.0, "quick": 1.0}
    assert seen == ["slow", "quick"] * 4


def test_scenes_are_drawn_from_a_seed_and_masks_compared_frame_by_frame():
    images, log_mel = calibration_frames(2, 64, VGGISH)
    again, _ = calibration_frames(2, 64, VGGISH)
    assert images.shape == (2, 3, 64, 64) and log_mel.shape == (2, 1, 96, 64) and images.equal(again)
    one = images[:, :1].float() - 300
    one[0, 0, :2] = 1
    half = one.clone()
    half[0, 0, 1] = -1
    assert mask_agreement(one, one) == 1
    assert mask_agreement(one, half) == pytest.approx(
        0.75
    )  # a half in one frame, two empty masks in the other
