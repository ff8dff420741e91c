"""Counts of the real metadata tables, which lie beside the checkout where there are any."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from save_avs.datasets import open_dataset
from save_avs.datasets.check import find_leaks
from save_avs.datasets.registry import SPECS

META = Path(__file__).resolve().parents[3] / "shared" / "avsbench-meta"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.shared,
    pytest.mark.skipif(not META.is_dir(), reason="the benchmarks' metadata is not beside this checkout"),
]
SPLITS = ("train", "val", "test")


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("meta") / "AVSBench-semantic"
    shutil.copytree(META, folder)
    return folder.parent


@pytest.fixture(scope="module")
def object_root(root, tmp_path_factory) -> Path:
    """S4 and MS3 tables of the clips that AVSBench-semantic holds again."""
    folder = tmp_path_factory.mktemp("object")
    for name, old, head, row in (
        ("s4", "v1s", "name,start,category,split", "{0.name},0,{0.categories[0]},{1}"),
        ("ms3", "v1m", "video_id,split", "{0.name},{1}"),
    ):
        home = folder / {"s4": "Single-source", "ms3": "Multi-sources"}[name]
        home.mkdir()
        sets = [open_dataset(old, root, split) for split in SPLITS]
        lines = [row.format(clips.metadata(i), clips.split) for clips in sets for i in range(len(clips))]
        (home / f"{name}_meta_data.csv").write_text("\n".join([head, *lines]) + "\n")
    return folder


def counts(name: str, root: Path) -> tuple[int, ...]:
    return tuple(len(open_dataset(name, root, split)) for split in SPLITS)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("v1s", (3452, 740, 740)),
        ("v1m", (296, 64, 64)),
        ("v2", (4750, 500, 750)),
        ("avss", (8498, 1304, 1554)),
        ("v3-0", (4807, 535, 758)),
        ("v3-1", (11, 535, 532)),
        ("v3-3", (33, 535, 510)),
        ("v3-5", (55, 535, 488)),
    ],
)
def test_counts_are_the_official_ones(root, name, expected):
    assert counts(name, root) == expected == tuple(SPECS[name].official_counts[split] for split in SPLITS)


def test_totals_are_the_published_ones(root):
    assert sum(counts("v1s", root)) == 4932 and sum(counts("v1m", root)) == 424
    assert sum(counts("avss", root)) == 11356
    train, val, unseen = counts("v3-0", root)
    assert (train + val, unseen) == (5342, 758)


@pytest.mark.parametrize(("name", "expected"), [("s4", (3452, 740, 740)), ("ms3", (296, 64, 64))])
def test_the_object_subsets_have_the_same_counts(object_root, name, expected):
    assert (
        counts(name, object_root) == expected == tuple(SPECS[name].official_counts[split] for split in SPLITS)
    )


def test_ms3_leaks_56_source_videos(object_root):
    assert len(find_leaks([open_dataset("ms3", object_root, split) for split in SPLITS])) == 56
    assert not find_leaks([open_dataset("s4", object_root, split) for split in SPLITS])


def test_a_obj_cleans_to_the_70_classes_with_the_background_left_out(root):
    names = set()
    for split in SPLITS:
        clips = open_dataset("avss", root, split)
        names |= {name for i in range(len(clips)) for name in clips.metadata(i).categories}
    assert len(names) == 70 and not any(" " in name or "_" in name for name in names)


def test_v3_shots_are_of_11_of_the_14_unseen_classes(root):
    unseen = open_dataset("v3-0", root, "test")
    classes = {name for i in range(len(unseen)) for name in unseen.metadata(i).categories}
    assert len(classes) == 14
    shots = open_dataset("v3-1", root, "train")
    kinds = {name for i in range(len(shots)) for name in shots.metadata(i).categories}
    assert len(kinds) == 11 and kinds < classes
