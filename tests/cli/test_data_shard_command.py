from __future__ import annotations

import pytest

from save_avs.cli import main
from save_avs.cli.data import parse_size
from save_avs.datasets import open_dataset
from save_avs.errors import UsageError
from tests.support import dataset_trees as trees


def test_a_data_set_becomes_shards(tmp_path, capsys):
    trees.ms3(tmp_path / "tree")
    assert (
        main(["data", "shard", "ms3", str(tmp_path / "tree"), str(tmp_path / "out"), "--size", "64MB"]) == 0
    )
    said = capsys.readouterr()
    assert "ms3 train: 1 clip in 1 shard\nms3 test: 1 clip in 1 shard\n" in said.out
    assert "1/1 ms3 train" in said.err
    assert len(open_dataset("ms3", tmp_path / "out", "test")) == 1
    assert main(["data", "check", str(tmp_path / "out"), "-o", str(tmp_path / "check")]) == 0
    assert "ms3: AVSBench-object Multi-sources (MS3), in shards" in capsys.readouterr().out


def test_one_split(tmp_path):
    trees.ms3(tmp_path / "tree")
    out = tmp_path / "out"
    assert main(["data", "shard", "ms3", str(tmp_path / "tree"), str(out), "--split", "train"]) == 0
    assert [path.name for path in sorted(out.iterdir())] == ["shards.json", "train-000000.tar"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["s5", "tree", "out"], "Unknown data set 's5'"),
        (["s4", "tree", "out"], "Single-source (S4) not found in"),
        (["ms3", "tree", "out", "--size", "large"], "--size large: write it as 64MB or 1GB"),
        (["ms3", "tree", "out", "--split", "tset"], "Unknown split 'tset'"),
        (["ms3", "tree", "out", "--split", "val"], "has no clip"),
        (["ms3", "tree", "tree"], "already exists"),
    ],
)
def test_wrong_usage_is_one_line(arguments, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    trees.ms3(tmp_path / "tree")
    assert main(["data", "shard", *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1 and not (tmp_path / "out").exists()


def test_shards_are_not_sharded_again(tmp_path, capsys):
    trees.ms3(tmp_path / "tree")
    assert main(["data", "shard", "ms3", str(tmp_path / "tree"), str(tmp_path / "out")]) == 0
    assert main(["data", "shard", "ms3", str(tmp_path / "out"), str(tmp_path / "again")]) == 2
    assert "contains shards already" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "size"),
    [("64MB", 64_000_000), ("1GB", 10**9), ("1.5g", 1_500_000_000), ("4096", 4096), ("2kb", 2000)],
)
def test_parse_size_returns_bytes(text, size):
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "MB", "0", "-1MB", "1TB"])
def test_parse_size_refuses(text):
    with pytest.raises(UsageError):
        parse_size(text)
