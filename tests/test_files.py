from __future__ import annotations

import os
from pathlib import Path

import pytest

from save_avs._files import atomic_folder, atomic_path, atomic_write, open_regular, read_regular
from save_avs.errors import UsageError


def files_in(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


class TestAtomicPath:
    def test_text_and_bytes_in_a_new_folder(self, tmp_path):
        atomic_write(tmp_path / "new" / "a.txt", "ü\n")
        atomic_write(tmp_path / "new" / "b.bin", b"\0\1")
        assert (tmp_path / "new" / "a.txt").read_bytes() == b"\xc3\xbc\n"
        assert (tmp_path / "new" / "b.bin").read_bytes() == b"\0\1"

    @pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, SystemExit])
    def test_failed_write_keeps_the_previous_file(self, tmp_path, error):
        target = tmp_path / "a.txt"
        target.write_text("previous")
        with pytest.raises(error), atomic_path(target) as part:
            part.write_text("half of")
            assert target.read_text() == "previous"
            raise error
        assert target.read_text() == "previous"
        assert list(tmp_path.iterdir()) == [target]

    def test_temporary_name_keeps_suffix_and_folder(self, tmp_path):
        with atomic_path(tmp_path / "a.mp4") as part:
            assert part.parent == tmp_path
            assert part.suffix == ".mp4"
            part.write_bytes(b"x")
        assert (tmp_path / "a.mp4").read_bytes() == b"x"

    def test_link_is_replaced_and_its_target_kept(self, tmp_path):
        (tmp_path / "victim").write_text("theirs")
        (tmp_path / "a.txt").symlink_to(tmp_path / "victim")
        atomic_write(tmp_path / "a.txt", "ours")
        assert (tmp_path / "a.txt").read_text() == "ours" and not (tmp_path / "a.txt").is_symlink()
        assert (tmp_path / "victim").read_text() == "theirs"


class TestAtomicFolder:
    def test_folder_appears_at_the_end_of_the_block(self, tmp_path):
        with atomic_folder(tmp_path / "out" / "clip") as folder:
            (folder / "a").write_text("a")
            assert not (tmp_path / "out" / "clip").exists()
        assert files_in(tmp_path / "out") == ["clip", "clip/a"]

    def test_interrupted_block_leaves_nothing(self, tmp_path):
        with pytest.raises(KeyboardInterrupt), atomic_folder(tmp_path / "clip") as folder:
            (folder / "a").write_text("a")
            raise KeyboardInterrupt
        assert files_in(tmp_path) == []

    def test_existing_folder_is_refused_before_the_block(self, tmp_path):
        (tmp_path / "clip").mkdir()
        with pytest.raises(UsageError, match="already exists"), atomic_folder(tmp_path / "clip"):
            raise AssertionError("the block was entered")

    @pytest.mark.parametrize("name", ["clip", ".clip.partial", ".clip.previous"])
    def test_link_is_replaced_and_its_target_kept(self, tmp_path, name):
        (tmp_path / "victim").mkdir()
        (tmp_path / "victim" / "theirs").touch()
        (tmp_path / name).symlink_to(tmp_path / "victim")
        for _ in range(2):  # the second one replaces the first
            with atomic_folder(tmp_path / "clip", overwrite=True) as folder:
                (folder / "mine").touch()
        assert files_in(tmp_path) == ["clip", "clip/mine", "victim", "victim/theirs"]

    def test_folder_created_during_the_block_is_kept(self, tmp_path):
        with pytest.raises(UsageError, match="in the meantime"), atomic_folder(tmp_path / "clip") as folder:
            (folder / "mine").touch()
            (tmp_path / "clip").mkdir()
            (tmp_path / "clip" / "theirs").touch()
        assert files_in(tmp_path) == ["clip", "clip/theirs"]

    def test_overwrite_replaces_at_the_end_of_the_block(self, tmp_path):
        (tmp_path / "clip").mkdir()
        (tmp_path / "clip" / "old").touch()
        with atomic_folder(tmp_path / "clip", overwrite=True) as folder:
            (folder / "new").touch()
            assert (tmp_path / "clip" / "old").exists()
        assert files_in(tmp_path) == ["clip", "clip/new"]

    def test_failed_overwrite_keeps_the_previous_folder(self, tmp_path):
        (tmp_path / "clip").mkdir()
        (tmp_path / "clip" / "old").touch()
        with pytest.raises(ValueError, match="no"), atomic_folder(tmp_path / "clip", overwrite=True):
            raise ValueError("no")
        assert files_in(tmp_path) == ["clip", "clip/old"]

    def test_leftovers_of_a_killed_run_are_removed(self, tmp_path):
        (tmp_path / ".clip.partial").mkdir()
        (tmp_path / ".clip.partial" / "rest").touch()
        with atomic_folder(tmp_path / "clip"):
            pass
        assert files_in(tmp_path) == ["clip"]

    def test_longest_file_name(self, tmp_path):
        with atomic_folder(tmp_path / ("ä" * 127)):
            pass
        assert len(files_in(tmp_path)) == 1


class TestRegularFiles:
    def test_link_to_a_file_is_read(self, tmp_path):
        (tmp_path / "a").write_bytes(b"x")
        (tmp_path / "link").symlink_to(tmp_path / "a")
        assert read_regular(tmp_path / "link") == b"x"

    @pytest.mark.parametrize("name", [".", "pipe", "missing", "a\0b"])
    def test_anything_else_is_refused_without_blocking(self, tmp_path, name):
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(OSError):
            open_regular(tmp_path / name)
