"""The index of shards, whatever stands in it: read, or refused in a line."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from save_avs.datasets.shards.index import (
    ShardedClip,
    ShardedSplit,
    ShardIndex,
    ShardMetadata,
    entries_of,
    read_index,
)
from save_avs.errors import DataError
from tests.support.corruption import BOUNDED, documents

TOLD = ShardMetadata("a", "source", ("dog", "cat"), 2, (0.5, 1.5))
FILES = {"frame0.png": (512, 10, 7), "frame1.png": (1024, 9, 8), "sound.wav": (1536, 5, 9)}
ROWS = [
    ShardedClip(0, "000000", TOLD, FILES),
    ShardedClip(0, "000001", ShardMetadata("b", "b"), {"frame0.png": (2560, 3, 1)}),
]
INDEX = ShardIndex(
    "ms3",
    ("background", "dog"),
    {"train": ShardedSplit([("train-000000.tar", 4096)], ROWS), "test": ShardedSplit()},
)
DOCUMENT = json.loads(INDEX.text())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shards")
    (folder / "train-000000.tar").write_bytes(bytes(4096))
    return folder


def written(folder: Path, content: bytes) -> Path:
    (folder / "shards.json").write_bytes(content)
    return folder


@BOUNDED
@given(content=documents(DOCUMENT))
def test_any_document_is_read_or_refused(folder, content):
    try:
        index = read_index(written(folder, content))
        for split in index.splits:
            entries_of(folder, index, split)
    except DataError as error:
        assert "\n" not in str(error)


TEXTS = st.text(max_size=5)
NUMBERS = st.integers(0, 100)
MEMBER = st.tuples(NUMBERS, NUMBERS, NUMBERS)
ROW = st.builds(
    ShardedClip,
    st.just(0),
    TEXTS,
    st.builds(
        ShardMetadata,
        TEXTS,
        TEXTS,
        st.lists(TEXTS, max_size=2).map(tuple),
        NUMBERS,
        st.none() | st.lists(st.floats(0, 9), max_size=2).map(tuple),
    ),
    st.fixed_dictionaries({"frame0.png": MEMBER}, optional={"frame1.png": MEMBER, "sound.wav": MEMBER}),
)


@BOUNDED
@given(clips=st.lists(ROW, max_size=3), name=TEXTS)
def test_what_is_written_is_read(folder, clips, name):
    index = ShardIndex(name, (), {"val": ShardedSplit([("val-000000.tar", 200)], clips)})
    assert read_index(written(folder, index.text().encode())) == index


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"shard": 1}, "no shard 1"),
        ({"shard": -1}, "greater than or equal to 0"),
        ({"files": {"frame1.png": (0, 1, 0)}}, "not numbered from 0 on"),
        ({"files": {}}, "not numbered from 0 on"),
        ({"files": {"frame0.png": (0, 2**62, 0)}}, "beyond the end of its shard"),
        ({"files": {"frame0.png": ("0", 1, 0)}}, "valid integer"),
    ],
)
def test_a_row_that_leads_nowhere_is_refused(folder, change, why):
    rows = [asdict(ROWS[0]) | change]
    document = {**DOCUMENT, "splits": {"train": {"shards": [["train-000000.tar", 4096]], "clips": rows}}}
    with pytest.raises(DataError, match=why):
        read_index(written(folder, json.dumps(document).encode()))


@pytest.mark.parametrize("name", ["../a.tar", "/etc/passwd", "b/a.tar", "..", ""])
def test_a_shard_elsewhere_is_refused(folder, name):
    document = {**DOCUMENT, "splits": {"train": {"shards": [[name, 1]], "clips": []}}}
    with pytest.raises(DataError, match="a shard elsewhere"):
        read_index(written(folder, json.dumps(document).encode()))


def test_lists_in_lists_are_refused(folder):
    with pytest.raises(DataError):
        read_index(written(folder, b"[" * 100_000))
