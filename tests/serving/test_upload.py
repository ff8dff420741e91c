"""The streaming form reader: any chunking, malformed forms, limits, file names."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from save_avs.inference.frame_folder import find_images
from save_avs.serving import upload
from save_avs.serving.errors import ServiceError
from save_avs.serving.job_files import safe_name
from save_avs.serving.upload import read_form

KIND = "multipart/form-data; boundary=xyz"
VIDEO = b"\r\n--xy\r\n--x yz\r\n-\x00\xff--xyz" * 9  # all that looks like an end and is none


def part(name: str, content: bytes, filename: str | None = None) -> bytes:
    more = "" if filename is None else f'; filename="{filename}"'
    return (
        f'--xyz\r\nContent-Disposition: form-data; name="{name}"{more}\r\n\r\n'.encode() + content + b"\r\n"
    )


END = b"--xyz--\r\n"
WHOLE = part("fps", b"5") + part("file", VIDEO, "clip.mp4") + part("save", b"a") + part("save", b"b") + END


def read(body: bytes, folder: Path, *, cuts: tuple[int, ...] = (), kind: str = KIND, size: int = 10_000):
    async def chunks():
        for begin, end in zip((0, *cuts), (*cuts, len(body)), strict=True):
            yield body[begin:end]

    return asyncio.run(read_form(chunks(), kind, folder, size=size, seconds=60))


@given(cuts=st.lists(st.integers(0, len(WHOLE)), max_size=12))
@settings(max_examples=60, deadline=None, derandomize=True)
def test_chunking_makes_no_difference(cuts):
    with tempfile.TemporaryDirectory() as folder:
        form = read(WHOLE, Path(folder), cuts=tuple(sorted(cuts)))
        assert (form.name, form.files, form.size) == ("clip.mp4", {"file": 1}, len(VIDEO))
        assert (Path(folder) / "clip.mp4").read_bytes() == VIDEO
        assert form.fields == {"fps": ["5"], "save": ["a", "b"]}


@given(body=st.binary(max_size=400), begin=st.integers(0, len(WHOLE)))
@settings(max_examples=150, deadline=None, derandomize=True)
def test_a_damaged_form_is_refused_with_a_message(body, begin):
    with tempfile.TemporaryDirectory() as folder:
        try:
            read(WHOLE[:begin] + body, Path(folder))
        except ServiceError as error:
            assert error.code in ("bad_form", "too_large") and str(error)


@pytest.mark.parametrize(
    "kind", ["", "application/json", "multipart/mixed; boundary=xyz", "; boundary=xyz", "é; boundary=xyz"]
)
def test_another_content_type_is_refused(kind, tmp_path):
    with pytest.raises(ServiceError) as error:
        read(WHOLE, tmp_path, kind=kind)
    assert error.value.code == "no_form"


@pytest.mark.parametrize(
    "boundary",
    ["", "; boundary=", f"; boundary={'x' * 71}", "; boundary=x\ty", '; boundary="a "', "; boundary=ü"],
)
def test_a_malformed_boundary_is_refused(boundary, tmp_path):
    with pytest.raises(ServiceError, match="boundary is missing or malformed") as error:
        read(WHOLE, tmp_path, kind=f"multipart/form-data{boundary}")
    assert error.value.code == "bad_form"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (WHOLE[:-9], "ends before"),
        (part("file", b"a", "a") + part("file", b"b", "b") + END, r"more than 1 part\(s\) 'file'"),
        (part("audio", b"a", "a") + part("audio", b"b", "b") + END, r"more than 1 part\(s\) 'audio'"),
        (part("fps", b"x" * 5000) + END, "longer than"),
        (part("fps", b"\xff") + END, "not UTF-8"),
        (part("", b"1") + END, "no name"),
        (part("x" * 5000, b"1") + END, "Maximum header size"),
        (b"".join(part(f"f{i}", b"1") for i in range(33)) + END, "more than 32 fields"),
        (part("f", b"1") * 33 + END, "more than 32 fields"),
    ],
)
def test_a_malformed_form_is_refused(body, message, tmp_path):
    with pytest.raises(ServiceError, match=message) as error:
        read(body, tmp_path)
    assert error.value.code == "bad_form"


def test_the_size_limit_is_exact(tmp_path):
    assert read(WHOLE, tmp_path, size=len(VIDEO)).size == len(VIDEO)
    with pytest.raises(ServiceError) as error:
        read(WHOLE, tmp_path, size=len(VIDEO) - 1)
    assert error.value.code == "too_large"


def test_frames_keep_their_numbers_and_stay_in_their_folder(tmp_path):
    sent = ["b10.png", "../a9.jpg", "x.bmp", "", "b10.png"]
    body = b"".join(part("frames", b"%d" % i, name) for i, name in enumerate(sent))
    form = read(body + part("audio", b"sound", "/frames") + END, tmp_path)
    assert form.files == {"frames": 5, "audio": 1} and form.size == 10
    assert (tmp_path / form.name).read_bytes() == b"sound" and form.name != "frames"
    assert {path.name for path in tmp_path.iterdir()} == {"frames", form.name}
    images = find_images(tmp_path / "frames")  # as the program orders a folder: by the last number
    assert [path.read_bytes() for path in images] == [b"2", b"3", b"1", b"0", b"4"]


def test_the_number_of_frames_is_limited(tmp_path, monkeypatch):
    monkeypatch.setattr(upload, "MAX_FRAMES", 3)
    assert read(part("frames", b"x", "1.png") * 3 + END, tmp_path).files["frames"] == 3
    (tmp_path / "more").mkdir()
    with pytest.raises(ServiceError, match=r"more than 3 part\(s\) 'frames'") as error:
        read(part("frames", b"x", "1.png") * 4 + END, tmp_path / "more")
    assert error.value.code == "bad_form"
    with pytest.raises(ServiceError) as error:  # of all files together
        read(part("frames", b"x" * 9, "1.png") * 2 + END, tmp_path, size=17)
    assert error.value.code == "too_large"


def test_a_form_that_never_ends_times_out(tmp_path):
    async def drip():
        yield WHOLE[:50]
        await asyncio.sleep(60)

    with pytest.raises(ServiceError) as error:
        asyncio.run(read_form(drip(), KIND, tmp_path, size=1000, seconds=0.1))
    assert error.value.code == "too_slow"


@given(st.text(max_size=300))
@settings(max_examples=300, deadline=None, derandomize=True)
def test_every_name_becomes_a_safe_one(sent):
    name = safe_name(sent)
    assert 0 < len(name) <= 80 and len(name.encode()) <= 255
    assert name == Path(name).name and not name.startswith(".") and "\\" not in name and name.isprintable()


def test_safe_names_keep_what_they_can():
    assert safe_name("C:\\films\\my dog.mp4") == "my dog.mp4"
    assert safe_name("/a/Große Hunde.webm") == "Große Hunde.webm"
    assert safe_name("x" * 200 + ".mp4") == "x" * 70 + ".mp4"
    assert safe_name("...") == safe_name("") == "video"
