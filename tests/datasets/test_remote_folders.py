"""Data sets in their own layouts behind a URL: the same samples, each file copied once per machine."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler
from pathlib import Path

import numpy as np
import pytest
from torch.utils.data import DataLoader

from save_avs.cli import main
from save_avs.datasets import as_published, available_splits, open_dataset
from save_avs.datasets.stored_files import data_path, read_file
from save_avs.errors import DataError, UsageError
from save_avs.synthesis.corpus import Corpus
from save_avs.synthesis.video_export import write_scene_videos
from tests.support import dataset_trees as trees
from tests.support.folder_server import on_s3, over_http

FOLDERS = {"folder": "videos", "synthetic": "AVS-Synthetic"}  # of others the root is enough


@pytest.fixture(scope="module", params=[over_http, on_s3], ids=["http", "s3"])
def places(request, tmp_path_factory) -> Iterator[tuple[Path, str]]:
    """Every layout below one root, and the root's URL."""
    root = tmp_path_factory.mktemp("archives")
    trees.s4(root)
    trees.ms3(root)
    trees.v3(root / "AVSBench-semantic")
    (
        root / "AVSBench-semantic/v2/E38OzFQIb1M_230000_240000/labels_semantic/3.png"
    ).unlink()  # its colors stay
    trees.synthetic(root / "AVS-Synthetic")
    corpus = Corpus.load("sample", "test")
    write_scene_videos(corpus, root / "videos", count=2, seconds=1.5, size=(48, 64), fps=8, masks=True)
    (root / "videos/scene-0001.mp4").write_bytes(b"no video")
    with request.param(root) as url:
        yield root, url


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("SAVE_AVS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def same(one: object, other: object) -> bool:
    parts = ("frames", "log_mel", "masks", "has_mask")
    return all(np.array_equal(getattr(one, part), getattr(other, part)) for part in parts)


LAYOUTS = ["s4", "ms3", "avss", pytest.param("v3-1", marks=pytest.mark.exhaustive), "synthetic", "folder"]


@pytest.mark.parametrize("name", LAYOUTS)
def test_samples_behind_a_url_are_those_of_the_folder(places, name):
    root, url = places
    below = f"/{FOLDERS[name]}/" if name in FOLDERS else ""
    assert available_splits(name, url + below) == available_splits(name, root / below.strip("/"))
    for split in available_splits(name, url + below):
        local, remote = (open_dataset(name, place, split) for place in (f"{root}{below}", url + below))
        assert remote.classes == local.classes and len(remote) == len(local) > 0
        for i in range(len(local) - (name == "folder")):
            assert remote.metadata(i) == local.metadata(i) and same(remote[i], local[i])


def test_processes_of_a_loader_copy_what_they_read(places, cache):
    root, url = places
    local, remote = (as_published(open_dataset("avss", place, "test")) for place in (root, url))
    assert not cache.exists()
    loader = DataLoader(remote, batch_size=None, num_workers=2, collate_fn=lambda sample: sample)
    assert all(same(sample, local[i]) for i, sample in enumerate(loader))
    copies = [path for path in cache.rglob("*.*") if path.is_file()]
    assert len(copies) == 25 + 25 + 3  # frames, colors, audio
    for path in copies:
        path.write_bytes(b"")
    with pytest.raises(DataError, match=rf"^{url}/AVSBench-semantic/v1m/.*: not an image"):
        remote[0]  # read from the copies


def test_check_counts_and_names_what_is_at_the_url(places, capsys, tmp_path):
    root, url = places
    reports = []
    for place in (str(root / "videos"), f"{url}/videos"):
        assert main(["data", "check", place, "--json", "-o", str(tmp_path / str(len(reports)))]) == 3
        reports.append(capsys.readouterr().out.replace(place, "ROOT"))
    assert reports[0] == reports[1]
    (broken,) = json.loads(reports[1])["data"][0]["splits"][2]["problems"]
    assert broken["path"] == "ROOT/scene-0001.mp4" and broken["kind"] == "broken"


def test_shards_of_a_url_are_those_of_the_folder(places, tmp_path):
    root, url = places
    assert main(["data", "shard", "s4", str(root), str(tmp_path / "local")]) == 0
    assert main(["data", "shard", "s4", url, str(tmp_path / "remote")]) == 0
    names = {path.name for path in (tmp_path / "local").iterdir()}
    assert names == {"shards.json", "train-000000.tar", "test-000000.tar"}
    for name in names:
        assert (tmp_path / "remote" / name).read_bytes() == (tmp_path / "local" / name).read_bytes()


def test_file_that_is_missing_at_the_url_is_named(tmp_path):
    root = trees.ms3(tmp_path / "tree")
    name = "Multi-sources/ms3_data/audio_wav/test/_fvpYLXtQHQ_1.wav"
    (root / name).unlink()
    with over_http(root) as url:
        with pytest.raises(DataError, match=rf"^{url}/{name}: missing$"):
            open_dataset("ms3", url, "test")[0]
        with pytest.raises(UsageError, match=rf" in {url}: expected s4_meta_data\.csv"):
            open_dataset("s4", url, "test")


def test_no_more_of_a_file_is_read_than_asked_for(places):
    root, url = places
    (found,) = root.rglob("s4_meta_data.csv")
    name = found.relative_to(root).as_posix()
    assert read_file(data_path(f"{url}/{name}"), 5) == found.read_bytes()[:5]


def test_web_server_without_lists_of_files_is_named(places, monkeypatch):
    monkeypatch.setattr(SimpleHTTPRequestHandler, "list_directory", lambda self, path: self.send_error(403))
    with over_http(places[0]) as url, pytest.raises(UsageError, match="a web server that lists its folders"):
        open_dataset("folder", f"{url}/videos", "test")
