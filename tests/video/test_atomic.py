from __future__ import annotations

import pytest

from save_avs._files import atomic_path, atomic_write


def test_writes_text_and_bytes_and_makes_the_folder(tmp_path):
    atomic_write(tmp_path / "new" / "a.txt", "ü\n")
    atomic_write(tmp_path / "new" / "b.bin", b"\0\1")
    assert (tmp_path / "new" / "a.txt").read_bytes() == b"\xc3\xbc\n"
    assert (tmp_path / "new" / "b.bin").read_bytes() == b"\0\1"


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, SystemExit])
def test_an_interrupted_write_leaves_the_former_file(tmp_path, error):
    target = tmp_path / "a.txt"
    target.write_text("former")
    with pytest.raises(error), atomic_path(target) as part:
        part.write_text("half of")
        assert target.read_text() == "former"
        raise error
    assert target.read_text() == "former"
    assert list(tmp_path.iterdir()) == [target]


def test_the_temporary_name_keeps_the_suffix_and_the_folder(tmp_path):
    with atomic_path(tmp_path / "a.mp4") as part:
        assert part.parent == tmp_path
        assert part.suffix == ".mp4"
        part.write_bytes(b"x")
    assert (tmp_path / "a.mp4").read_bytes() == b"x"


def test_a_link_is_replaced_and_not_written_through(tmp_path):
    (tmp_path / "victim").write_text("theirs")
    (tmp_path / "a.txt").symlink_to(tmp_path / "victim")
    atomic_write(tmp_path / "a.txt", "ours")
    assert (tmp_path / "a.txt").read_text() == "ours" and not (tmp_path / "a.txt").is_symlink()
    assert (tmp_path / "victim").read_text() == "theirs"
