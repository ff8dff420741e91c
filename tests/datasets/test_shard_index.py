"""The index of shards: any content is read or refused with one line."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from save_avs.datasets.base import ClipMetadata
from save_avs.datasets.shards import (
    INDEX_JSON,
    ShardedClip,
    ShardedSplit,
    ShardIndex,
    read_index,
    sharded_entries,
)
from save_avs.datasets.stored_files import MemberRecord
from save_avs.errors import DataError
from tests.support.corruption import BOUNDED, documents

FRAMES = (MemberRecord("0.frame0.png", 512, 10, 7), MemberRecord("0.frame1.png", 1024, 9, 8))
AUDIO = MemberRecord("0.audio.wav", 1536, 5, 9)
CLIP = ShardedClip(0, ClipMetadata("a", "source", ("dog", "cat")), FRAMES, (None, None), AUDIO, 2, (0.5, 1.5))
INDEX = ShardIndex(
    "ms3",
    ("background", "dog"),
    {"train": ShardedSplit((("train-000000.tar", 4096),), (CLIP,)), "test": ShardedSplit((), ())},
    version=1,
)
DOCUMENT = json.loads(INDEX_JSON.dump_json(INDEX))


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
            sharded_entries(folder, index, split)
    except DataError as error:
        assert "\n" not in str(error)


TEXTS = st.text(max_size=5)
NUMBERS = st.integers(0, 90)
MEMBERS = st.builds(MemberRecord, TEXTS, NUMBERS, NUMBERS, NUMBERS)
METADATA = st.builds(ClipMetadata, TEXTS, TEXTS, st.lists(TEXTS, max_size=2).map(tuple))
CLIPS = st.builds(
    ShardedClip,
    st.just(0),
    METADATA,
    st.tuples(MEMBERS, MEMBERS),
    st.tuples(MEMBERS, st.none()),
    MEMBERS,
    NUMBERS,
    st.none() | st.lists(st.floats(0, 9), max_size=2).map(tuple),
)


@BOUNDED
@given(clips=st.lists(CLIPS, max_size=3).map(tuple), name=TEXTS)
def test_written_index_reads_back_equal(folder, clips, name):
    index = ShardIndex(name, (), {"val": ShardedSplit((("val-000000.tar", 200),), clips)}, version=1)
    assert read_index(written(folder, INDEX_JSON.dump_json(index))) == index


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"shard": 1}, "no shard 1"),
        ({"shard": -1}, "greater than or equal to 0"),
        ({"frames": [], "annotations": []}, "0 frames"),
        ({"annotations": [None]}, "2 frames, 1 annotations"),
        ({"audio": {"name": "a", "offset": 0, "size": 2**62, "crc": 0}}, "beyond the end of its shard"),
        ({"audio": {"name": "a", "offset": "0", "size": 1, "crc": 0}}, "valid integer"),
    ],
)
def test_clip_with_impossible_members_is_refused(folder, change, reason):
    clips = [json.loads(json.dumps(asdict(CLIP))) | change]
    splits = {"train": {"shards": [["train-000000.tar", 4096]], "clips": clips}}
    with pytest.raises(DataError, match=reason):
        read_index(written(folder, json.dumps({**DOCUMENT, "splits": splits}).encode()))


@pytest.mark.parametrize("name", ["../a.tar", "/etc/passwd", "b/a.tar", "..", ""])
def test_shard_outside_the_folder_is_refused(folder, name):
    document = {**DOCUMENT, "splits": {"train": {"shards": [[name, 1]], "clips": []}}}
    with pytest.raises(DataError, match="shard outside the folder"):
        read_index(written(folder, json.dumps(document).encode()))


def test_deeply_nested_lists_are_refused(folder):
    with pytest.raises(DataError):
        read_index(written(folder, b"[" * 100_000))
