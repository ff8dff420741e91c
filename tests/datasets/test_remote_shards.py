"""Shards behind a URL: the same samples, copied once per machine when they are first read."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from torch.utils.data import DataLoader

from save_avs.cli import main
from save_avs.datasets import available_splits, open_dataset
from save_avs.datasets.shards import write_shards
from save_avs.errors import DataError, UsageError
from tests.support import dataset_trees as trees
from tests.support.folder_server import on_s3, over_http


@pytest.fixture
def shards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """AVSS in shards of one or two clips, and a cache without content."""
    monkeypatch.setenv("SAVE_AVS_CACHE", str(tmp_path / "cache"))
    root = trees.avss(tmp_path / "tree")
    clips = [open_dataset("avss", root, split) for split in available_splits("avss", root)]
    return write_shards(clips, tmp_path / "shards", shard_bytes=600_000)


def copies(tmp_path: Path) -> list[str]:
    return sorted(path.name for path in (tmp_path / "cache").rglob("*.tar"))


@pytest.mark.parametrize("behind", [over_http, on_s3], ids=["http", "s3"])
def test_shards_behind_a_url_give_the_same_bits_and_are_copied_when_read(shards, tmp_path, behind):
    local = open_dataset("avss", shards, "train")
    with behind(shards) as url:
        assert available_splits("avss", f"{url}/") == available_splits("avss", shards)
        clips = open_dataset("avss", url, "train")
        assert len(clips) == len(local) == 3 and clips.classes == local.classes
        assert copies(tmp_path) == []
        clips[2]
        assert copies(tmp_path) == ["train-000001.tar"]
        loader = DataLoader(clips, batch_size=None, num_workers=2, collate_fn=lambda sample: sample)
        for i, sample in enumerate(loader):
            assert all(
                np.array_equal(getattr(sample, part), getattr(local[i], part))
                for part in ("frames", "log_mel", "masks", "labels")
            )
        again = open_dataset("avss", url, "train")
        assert main(["data", "check", url, "-o", str(tmp_path / "report")]) == 0
    assert np.array_equal(again[0].frames, local[0].frames)  # the server is gone, the copies are not
    assert copies(tmp_path) == sorted(path.name for path in shards.glob("*.tar"))


def test_shard_that_is_missing_or_cut_off_at_its_url_is_named_and_not_kept(shards, tmp_path):
    whole = (shards / "train-000000.tar").read_bytes()
    with over_http(shards) as url:
        clips = open_dataset("avss", url, "train")
        (shards / "train-000000.tar").write_bytes(whole[:-512])
        size = f"{len(whole) - 512} bytes instead of {len(whole)}"
        with pytest.raises(DataError, match=rf"^{url}/train-000000\.tar: {size}; copy the shard again"):
            clips[0]
        (shards / "train-000000.tar").unlink()
        with pytest.raises(DataError, match=rf"^{url}/train-000000\.tar: missing") as said:
            clips[0]
        assert "\n" not in str(said.value) and copies(tmp_path) == []
        (shards / "train-000000.tar").write_bytes(whole)
        assert clips[0].name


def test_other_shards_at_the_same_url_are_not_mistaken_for_the_copies(shards, tmp_path):
    with over_http(shards) as url:
        open_dataset("avss", url, "train")[0]
        shutil.rmtree(shards)
        write_shards([open_dataset("ms3", trees.ms3(tmp_path / "other"), "train")], shards, shard_bytes=10**9)
        assert len(open_dataset("ms3", url, "train")[0].frames) == 5
        with pytest.raises(UsageError, match=rf"^{url} holds shards of ms3, not of avss"):
            open_dataset("avss", url, "train")


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:9/shards", "gs://bucket/shards"], ids=["no server", "no client"]
)
def test_url_without_shards_is_one_line(url, capsys):
    assert main(["data", "check", url]) == 2
    said = capsys.readouterr().err
    assert f"{url}/shards.json: cannot be read (" in said and len(said.splitlines()) == 1
