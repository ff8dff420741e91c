"""Names of every kind, and things that are no files."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.support.hostile.case import Case, every
from tests.support.hostile.media_damage import FINE, UNREADABLE, WRONG_USE, segment
from tests.support.hostile.valid_inputs import video

NAMES = (
    "with blanks  in it.mp4",
    "quo\"te'd.mp4",
    "new\nline.mp4",
    "tab\there.mp4",
    "naïve.mp4",
    "片.mp4",
    "😀.mp4",
    "\u202egpj.mp4",
    "100%d.mp4",
    "%03d.mp4",
    "star*.mp4",
    "[a].mp4",
    "ques?tion.mp4",
    "-o.mp4",
    "--help.mp4",
    "c:olon.mp4",
    "http:a.mp4",
    "back\\slash.mp4",
    "dots...mp4",
    ".hidden.mp4",
    "..mp4",
    "$(touch hacked).mp4",
    "`id`.mp4",
    "semi;colon.mp4",
    "pi|pe.mp4",
    "a&b.mp4",
    "x" * 250 + ".mp4",
    "é" * 120 + ".mp4",
    "con.mp4",
    "bell\a\x1b[31m.mp4",
    "not-utf8-\udcff\udcfe.mp4",
    "~.mp4",
    "~root.mp4",
    "pipe:0",
    "file:v.mp4",
    "concat:a|b.mp4",
    "{a,b}.mp4",
    "#.mp4",
)


def cases() -> Iterator[Case]:
    """All of them."""
    yield from every(_names(), 16)
    yield from every(_things(), 6)


def _names() -> Iterator[Case]:
    for name in NAMES:
        shown = name.encode("utf-8", "backslashreplace").decode()[:30]
        yield Case(f"media/named {shown!r}", _named(name), segment, (FINE,))


def _named(name: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        (folder / name).write_bytes(video("v.mp4"))
        return folder / name

    return make


def _things() -> Iterator[Case]:
    def thing(what: str, make: Callable[[Path], Path], *codes: int) -> Case:
        return Case(f"media/{what}", make, segment, codes)

    yield thing("nothing there", lambda folder: folder / "none.mp4", WRONG_USE)
    yield thing("an empty folder", lambda folder: folder, WRONG_USE)
    yield thing("a folder named as a video", lambda folder: _made(folder / "v.mp4", Path.mkdir), WRONG_USE)
    yield thing("a folder with a good video, bad ones and other things", _mixed, UNREADABLE)
    yield thing("a pipe that nobody writes to", lambda folder: _made(folder / "v.mp4", os.mkfifo), WRONG_USE)
    yield thing("a socket", lambda folder: _made(folder / "v.mp4", _bind), WRONG_USE)
    yield thing(
        "a link to itself", lambda folder: _made(folder / "v.mp4", lambda p: p.symlink_to(p)), WRONG_USE
    )
    yield thing(
        "a link to nothing", lambda folder: _made(folder / "v.mp4", lambda p: p.symlink_to("x")), WRONG_USE
    )
    yield thing(
        "a link to endless zeros",
        lambda folder: _made(folder / "v.mp4", lambda p: p.symlink_to("/dev/zero")),
        WRONG_USE,
    )
    yield thing("a device without an end", lambda _: Path("/dev/zero"), WRONG_USE)
    yield thing("a device of nothing", lambda _: Path("/dev/null"), WRONG_USE)
    yield thing("a file of the kernel", lambda _: Path("/proc/self/status"), UNREADABLE, WRONG_USE)
    yield thing("a file that may not be read", _locked, FINE, UNREADABLE)
    yield thing("a name that is too long", lambda folder: folder / ("x" * 5000), 1, WRONG_USE)
    yield thing("a name that holds a zero", lambda folder: folder / "a\0b.mp4", WRONG_USE)
    yield thing("a pattern without an end", lambda folder: folder / "**/**/[", WRONG_USE)
    yield thing("a file of holes", lambda folder: _made(folder / "v.mp4", _hollow), UNREADABLE)


def _made(path: Path, make: Callable[[Path], object]) -> Path:
    make(path)
    return path


def _bind(path: Path) -> None:
    before = Path.cwd()
    os.chdir(path.parent)  # an address of a socket may not be long
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(path.name)
    os.chdir(before)


def _mixed(folder: Path) -> Path:
    (folder / "good.mp4").write_bytes(video("v.mp4"))
    (folder / "bad.mp4").write_bytes(b"no video")
    (folder / "torn.mp4").write_bytes(video("v.mp4")[:500])
    (folder / "notes.txt").write_text("no video")
    (folder / "folder.mp4").mkdir()
    os.mkfifo(folder / "pipe.mp4")
    (folder / "loop.mp4").symlink_to(folder)
    return folder


def _locked(path: Path) -> Path:
    made = _named("v.mp4")(path)
    made.chmod(0)
    return made


def _hollow(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(1 << 36)
