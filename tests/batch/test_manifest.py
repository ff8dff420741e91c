"""Lists of clips in every form, and addresses."""

from __future__ import annotations

import json
import os

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from save_avs.batch.manifest import find_entries, read_manifest
from save_avs.batch.storage import at_hand, entry_of, identity_of
from save_avs.batch.worker import overlay_name
from save_avs.errors import DataError, UsageError
from tests.support.corruption import BOUNDED, damaged, documents
from tests.support.file_server import serving

CLIPS = ["a b.mp4", "s3://bucket/ä.mp4", '"quoted", name.mp4']


def test_every_form_says_the_same(tmp_path):
    (tmp_path / "list.txt").write_text("\n".join([*CLIPS, "", ""]), encoding="utf-8")
    (tmp_path / "list.csv").write_text(
        'n,path\n1,a b.mp4\n2,s3://bucket/ä.mp4\n3,"""quoted"", name.mp4"\n', encoding="utf-8"
    )
    (tmp_path / "list.jsonl").write_text(
        '{"path": "a b.mp4", "n": 1}\n"s3://bucket/\\u00e4.mp4"\n\n{"url": "\\"quoted\\", name.mp4"}\n'
    )
    parquet.write_table(pa.table({"url": CLIPS, "n": [1, 2, 3]}), tmp_path / "list.parquet")
    for suffix in ("txt", "csv", "jsonl", "parquet"):
        assert read_manifest(tmp_path / f"list.{suffix}") == CLIPS


@pytest.mark.parametrize(
    ("name", "content", "part"),
    [
        ("a.jsonl", b'{"path": "x"}\n{"path"', "cannot be read"),
        ("a.jsonl", b'{"file": "x"}', "line 1: no path or url"),
        ("a.jsonl", b"[1]", "line 1: no path or url"),
        ("a.csv", b"file\nx\n", "line 2: no path or url"),
        ("a.parquet", b"PAR1", "cannot be read"),
    ],
)
def test_what_is_no_list(tmp_path, name, content, part):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=part) as refused:
        read_manifest(tmp_path / name)
    assert str(tmp_path / name) in str(refused.value) and "\n" not in str(refused.value)


def test_clips_are_listed_once_and_in_order(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("b.mp4", "a.mp4"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "list.txt").write_text(f"{tmp_path}/a.mp4\nhttp://host/c.mp4\nmissing.mp4\n")
    found = [entry.name for entry in find_entries(["b.mp4", "a.mp4"], tmp_path / "list.txt")]
    here = str(tmp_path)
    assert found == [f"{here}/a.mp4", f"{here}/b.mp4", f"{here}/missing.mp4", "http://host/c.mp4"]
    with pytest.raises(UsageError, match="no input"):
        find_entries([], None)
    with pytest.raises(UsageError, match="no such file"):
        find_entries([], tmp_path / "nothing.txt")


def test_names_that_are_no_text_stay_apart():
    names = {entry_of(os.fsdecode(b"/clips/\xff.mp4")).name, entry_of(os.fsdecode(b"/clips/\xfe.mp4")).name}
    assert len(names) == 2 and all(name.encode() for name in names)


def test_an_overlay_stays_in_its_folder():
    for name in ("/a/../../x.mp4", "http://h/..%2f..%2fx.mp4?a=/../b", "/a/.mp4", "/a/" + "ü" * 200 + ".mp4"):
        folder = overlay_name(entry_of(name))
        assert "/" not in folder and "." not in folder and len(folder.encode()) < 255


class TestFetching:
    def test_over_http(self, tmp_path):
        with serving(b"the clip") as server:
            entry = entry_of(server.url.replace("weights.pth", "dir/clip.MP4?token=1"))
            beats: list[int] = []
            with at_hand(entry, str(tmp_path), lambda: beats.append(1)) as (file, identity):
                assert file.read_bytes() == b"the clip" and file.name == "clip.mp4"
                assert identity == '8 bytes, "one"'
            assert beats and list(tmp_path.iterdir()) == []
            assert identity_of(entry) is None

    @pytest.mark.parametrize("address", ["http://127.0.0.1:9/x.mp4", "s3://no bucket/x"])
    def test_what_cannot_be_fetched_says_so_in_a_line(self, tmp_path, address, monkeypatch):
        monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
        monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
        with (
            pytest.raises(DataError, match="cannot be fetched") as said,
            at_hand(entry_of(address), str(tmp_path), lambda: None),
        ):
            pass
        assert "\n" not in str(said.value) and list(tmp_path.iterdir()) == []


WHOLE = b'{"path": "a b.mp4", "n": 1}\n"s3://bucket/x.mp4"\n'


@BOUNDED
@given(content=documents({"path": "a.mp4"}) | damaged(WHOLE), suffix=st.sampled_from(["txt", "csv", "jsonl"]))
def test_any_list_names_clips_or_is_refused(tmp_path_factory, content, suffix):
    path = tmp_path_factory.getbasetemp() / f"list.{suffix}"
    path.write_bytes(content)
    try:
        entries = [entry_of(clip) for clip in read_manifest(path)]
    except DataError as error:
        assert "\n" not in str(error)
    else:
        assert all(isinstance(identity_of(entry), str | None) for entry in entries)


@BOUNDED
@given(clips=st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1)))
def test_names_come_back(tmp_path_factory, clips):
    path = tmp_path_factory.getbasetemp() / "list.jsonl"
    path.write_text("".join(f"{json.dumps({'path': clip})}\n" for clip in clips))
    assert read_manifest(path) == clips


def test_lists_in_lists_are_refused(tmp_path):
    (tmp_path / "a.jsonl").write_bytes(b"[" * 100_000)
    with pytest.raises(DataError, match="cannot be read"):
        read_manifest(tmp_path / "a.jsonl")
