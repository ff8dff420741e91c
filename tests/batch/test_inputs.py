"""Inputs of a batch run: manifests of every format, and URLs."""

from __future__ import annotations

import json
import os

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from save_avs.batch.inputs import as_video, find_videos, local_copy, read_manifest, version_of
from save_avs.batch.segmenter import folder_name
from save_avs.errors import DataError, UsageError
from tests.support.corruption import BOUNDED, damaged, documents
from tests.support.file_server import serving

LOCATIONS = ["a b.mp4", "s3://bucket/ä.mp4", '"quoted", name.mp4']


@pytest.mark.parametrize("suffix", ["txt", "csv", "jsonl", "parquet"])
def test_read_manifest_returns_the_same_list_from_every_format(suffix, tmp_path):
    (tmp_path / "list.txt").write_text("\n".join([*LOCATIONS, "", ""]), encoding="utf-8")
    (tmp_path / "list.csv").write_text(
        'n,path\n1,a b.mp4\n2,s3://bucket/ä.mp4\n3,"""quoted"", name.mp4"\n', encoding="utf-8"
    )
    (tmp_path / "list.jsonl").write_text(
        '{"path": "a b.mp4", "n": 1}\n{"path": "s3://bucket/\\u00e4.mp4"}\n\n'
        '{"path": "\\"quoted\\", name.mp4"}\n'
    )
    parquet.write_table(pa.table({"url": LOCATIONS, "n": [1, 2, 3]}), tmp_path / "list.parquet")
    assert read_manifest(tmp_path / f"list.{suffix}") == LOCATIONS


@pytest.mark.parametrize(
    ("name", "content", "part"),
    [
        ("a.jsonl", b'{"path": "x"}\n{"path"', "not a list of videos"),
        ("a.jsonl", b'{"file": "x"}', "no column path or url"),
        ("a.jsonl", b"[1]", "not a list of videos"),
        ("a.csv", b"file\nx\n", "no column path or url"),
        ("a.parquet", b"PAR1", "not a list of videos"),
    ],
)
def test_read_manifest_refuses_a_broken_file_in_one_line(tmp_path, name, content, part):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=part) as refused:
        read_manifest(tmp_path / name)
    assert str(tmp_path / name) in str(refused.value) and "\n" not in str(refused.value)


def test_find_videos_returns_each_video_once_sorted(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("b.mp4", "a.mp4"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "list.txt").write_text(f"{tmp_path}/a.mp4\nhttp://host/c.mp4\nmissing.mp4\n")
    found = [video.path for video in find_videos(["b.mp4", "a.mp4"], tmp_path / "list.txt")]
    here = str(tmp_path)
    assert found == [f"{here}/a.mp4", f"{here}/b.mp4", f"{here}/missing.mp4", "http://host/c.mp4"]
    with pytest.raises(UsageError, match="No input"):
        find_videos([], None)
    with pytest.raises(UsageError, match=r"nothing\.txt: missing"):
        find_videos([], tmp_path / "nothing.txt")


def test_as_video_keeps_undecodable_paths_distinct():
    names = {as_video(os.fsdecode(b"/clips/\xff.mp4")).path, as_video(os.fsdecode(b"/clips/\xfe.mp4")).path}
    assert len(names) == 2 and all(name.encode() for name in names)


@pytest.mark.parametrize(
    "name",
    ["/a/../../x.mp4", "http://h/..%2f..%2fx.mp4?a=/../b", "/a/.mp4", f"/a/{'ü' * 200}.mp4"],
    ids=["parents", "address", "no stem", "long"],
)
def test_folder_name_is_one_safe_folder_name(name):
    folder = folder_name(as_video(name).path)
    assert "/" not in folder and "." not in folder and len(folder.encode()) < 255


class TestLocalCopy:
    def test_http_video_is_copied_and_removed_afterwards(self, tmp_path):
        with serving(b"the clip") as server:
            video = as_video(server.url.replace("weights.pth", "dir/clip.MP4?token=1"))
            beats: list[int] = []
            with local_copy(video, lambda: beats.append(1)) as (file, version):
                assert file.read_bytes() == b"the clip" and file.name == "video.mp4"
                assert version == '8 bytes, "one"'
            assert beats and not file.exists()
            assert version_of(video.location) == ""

    @pytest.mark.parametrize("address", ["http://127.0.0.1:9/x.mp4", "s3://no bucket/x"])
    def test_unreachable_url_is_one_line(self, tmp_path, address, monkeypatch):
        monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
        monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
        with (
            pytest.raises(DataError, match="cannot be read") as said,
            local_copy(as_video(address), lambda: None),
        ):
            pass
        assert "\n" not in str(said.value)


WHOLE = b'{"path": "a b.mp4", "n": 1}\n{"path": "s3://bucket/x.mp4"}\n'


@BOUNDED
@given(content=documents({"path": "a.mp4"}) | damaged(WHOLE), suffix=st.sampled_from(["txt", "csv", "jsonl"]))
def test_read_manifest_of_damaged_content_lists_or_refuses(tmp_path_factory, content, suffix):
    path = tmp_path_factory.getbasetemp() / f"list.{suffix}"
    path.write_bytes(content)
    try:
        videos = [as_video(location) for location in read_manifest(path)]
    except DataError as error:
        assert "\n" not in str(error)
    else:
        assert all(isinstance(version_of(video.location), str) for video in videos)


@BOUNDED
@given(
    clips=st.lists(
        st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1), min_size=1
    )
)
def test_read_manifest_returns_names_unchanged(tmp_path_factory, clips):
    path = tmp_path_factory.getbasetemp() / "list.jsonl"
    path.write_text("".join(f"{json.dumps({'path': clip})}\n" for clip in clips))
    assert read_manifest(path) == clips


def test_read_manifest_refuses_deep_nesting(tmp_path):
    (tmp_path / "a.jsonl").write_bytes(b"[" * 100_000)
    with pytest.raises(DataError, match="not a list of videos"):
        read_manifest(tmp_path / "a.jsonl")
