from __future__ import annotations

import json

import pytest
from PIL import Image

from save_avs.cli import data_check, main
from tests.support import dataset_trees as trees


@pytest.fixture
def root(tmp_path):
    return trees.ms3(trees.s4(tmp_path / "archives"))


def check(root, *arguments: str) -> int:
    return main(["data", "check", str(root), "-o", str(root.parent / "out"), "--overwrite", *arguments])


def test_complete_dataset_has_no_problems(root, capsys):
    assert check(root) == 0
    said = capsys.readouterr()
    assert "s4: AVSBench-object Single-source (S4)" in said.out and "ms3: " in said.out
    assert "source videos with clips in more than one split: 1" in said.out
    assert "_fvpYLXtQHQ: 1 in train, 1 in test" in said.out
    assert "1/1 s4 train" in said.err
    for name in ("s4", "ms3"):
        with Image.open(root.parent / "out" / f"{name}.png") as sheet:
            assert sheet.width > 400


def test_problems_are_listed_with_exit_code_3(root, capsys):
    gone = root / "Single-source/s4_data/audio_wav/train/bird/__GOGlHL23s_4000_9000.wav"
    gone.unlink()
    assert check(root, "--data", "s4") == 3
    assert f"  missing: {gone}\n" in capsys.readouterr().out
    assert check(root, "--data", "ms3") == 0


def test_json_is_one_document_and_the_report(root, capsys):
    torn = root / "Multi-sources/ms3_data/visual_frames/_fvpYLXtQHQ_0/_fvpYLXtQHQ_0.mp4_1.png"
    torn.write_text("text")
    assert check(root, "--json") == 3
    document = json.loads(capsys.readouterr().out)
    assert document == json.loads((root.parent / "out" / "report.json").read_text())
    s4, ms3 = document["data"]
    assert (s4["name"], ms3["name"]) == ("s4", "ms3")
    assert [split["official"] for split in s4["splits"]] == [3452, 740, 740]
    (finding,) = ms3["splits"][0]["problems"]
    assert finding == {"path": str(torn), "kind": "broken", "reason": "not an image"}


def test_links_in_the_output_folder_are_not_written_through(root):
    victim, out = root.parent / "victim", root.parent / "out"
    victim.write_text("theirs")
    out.mkdir()
    for name in ("report.json", "s4.png"):
        (out / name).symlink_to(victim)
    assert check(root) == 0
    assert victim.read_text() == "theirs"
    assert json.loads((out / "report.json").read_text())["data"]


def test_long_lists_are_cut_on_the_terminal_only(root, capsys, monkeypatch):
    monkeypatch.setattr(data_check, "SHOWN", 5)
    for path in root.rglob("*.png"):
        path.unlink()
    assert check(root) == 3
    said = capsys.readouterr().out
    assert "... and 11 more, all in report.json" in said
    document = json.loads((root.parent / "out" / "report.json").read_text())
    assert sum(len(split["problems"]) for data in document["data"] for split in data["splits"]) == 36
    assert not list((root.parent / "out").glob("*.png"))


def test_missing_subsets_are_left_out(tmp_path, capsys):
    root = trees.avss(tmp_path / "archives")
    for row in ("v1s", "v1m"):
        lines = [line for line in (root / "metadata.csv").read_text().splitlines() if not line.endswith(row)]
        (root / "metadata.csv").write_text("\n".join(lines) + "\n")
    assert check(root) == 0
    said = capsys.readouterr().out
    assert "v2: " in said and "v1s: " not in said


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--data", "s5"], "Unknown data set 's5'"),
        (["--data", "v2"], "AVSBench-semantic V2 not found in"),
    ],
)
def test_wrong_usage_is_one_line(root, capsys, arguments, message):
    assert check(root, *arguments) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1 and not (root.parent / "out").exists()


def test_a_folder_without_data_sets(tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    assert check(tmp_path / "empty") == 2 and "No known data set" in capsys.readouterr().err
    assert check(tmp_path / "nowhere") == 2 and "no such folder" in capsys.readouterr().err
