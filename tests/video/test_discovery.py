from __future__ import annotations

import pytest

from save_avs.errors import UsageError
from save_avs.video.discovery import find_videos


@pytest.fixture
def tree(tmp_path):
    for name in [
        "b.mp4",
        "a.MKV",
        "notes.txt",
        "sub/c.webm",
        "sub/deep/d.mov",
        ".hidden/e.mp4",
        "empty/x.json",
    ]:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    return tmp_path


def names(tree, item):
    return [p.relative_to(tree).as_posix() for p in find_videos(str(tree / item))]


def test_files_folders_and_globs(tree):
    assert names(tree, "b.mp4") == ["b.mp4"]
    assert names(tree, ".") == ["a.MKV", "b.mp4", "sub/c.webm", "sub/deep/d.mov"]
    assert names(tree, "*.mp4") == ["b.mp4"]
    assert names(tree, "s*") == ["sub/c.webm", "sub/deep/d.mov"]
    assert names(tree, "**/*.mov") == ["sub/deep/d.mov"]


def test_named_file_may_have_any_suffix(tree):
    assert names(tree, "notes.txt") == ["notes.txt"]


def test_existing_name_with_brackets_is_not_a_pattern(tree):
    (tree / "take[1].mp4").write_bytes(b"x")
    assert names(tree, "take[1].mp4") == ["take[1].mp4"]


@pytest.mark.parametrize(
    ("item", "words"),
    [
        ("none.mp4", "no such file"),
        ("empty", "no video file in"),
        ("*.ogv", "no video file matches"),
        ("*.txt", "no video file"),
    ],
)
def test_input_without_video_is_a_usage_error(tree, item, words):
    with pytest.raises(UsageError, match=words):
        find_videos(str(tree / item))


def test_empty_input_is_not_the_current_folder(tree, monkeypatch):
    monkeypatch.chdir(tree)
    with pytest.raises(UsageError, match="an input is empty"):
        find_videos("")
