"""Videos that are torn, damaged, disguised as something else, or lie about their size."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

from tests.support.hostile.byte_damage import cuts, flips, holes, patched
from tests.support.hostile.case import Case, every, written
from tests.support.hostile.valid_inputs import VIDEOS, image, model, video

FINE, WRONG_USE, UNREADABLE = 0, 2, 3
TORN = ("v.mp4", "fast.mp4", "pieces.mp4", "v.mkv", "v.webm", "v.avi", "v.ts")


def segment(made: Path, out: Path) -> list[str]:
    """What is done with a video."""
    how = ["--model", str(model()), "--device", "cpu", "--precision", "fp32", "--save", "overlay,masks"]
    return ["segment", str(made), "-o", str(out), *how]


def case(what: str, name: str, content: bytes, codes: tuple[int, ...] = (FINE, UNREADABLE)) -> Case:
    """A file that is segmented."""
    return Case(f"media/{what}", written(name, content), segment, codes)


def cases() -> Iterator[Case]:
    """All of them."""
    yield from every(_torn(), 40)
    yield from every(_disguised(), 12)
    yield from every(_declared(), 8)


def _torn() -> Iterator[Case]:
    for name in TORN:
        whole = video(name)
        for how, content in cuts(whole):
            yield case(f"{name} {how}", name, content)
        for how, content in (*flips(whole, 3), *flips(whole, 2, within=600), *holes(whole)):
            yield case(f"{name} {how}", name, content)
    for name in sorted(set(VIDEOS) - set(TORN)):
        for how, content in (*flips(video(name), 3), *flips(video(name), 2, within=300)):
            yield case(f"{name} {how}", name, content)


def _disguised() -> Iterator[Case]:
    for suffix in (".txt", ".wav", ".jpg", ".gif", ".mkv", ".m3u8", ".sdp", ".srt", ".json", ""):
        yield case(f"mp4 named {suffix or 'nothing'}", f"v{suffix}", video("v.mp4"), (FINE,))
    others = {
        "nothing": b"",
        "a zero byte": b"\0",
        "a megabyte of zeros": bytes(1 << 20),
        "text": b"Dear diary, this is no video.\n" * 40,
        "a page": b"<!doctype html><title>404</title>",
        "a program": b"\x7fELF\x02\x01\x01" + bytes(200),
        "an archive": b"PK\x03\x04" + bytes(300),
        "a pickle": b"cos\nsystem\n(S'touch hacked'\ntR.",
        "subtitles": b"1\n00:00:00,000 --> 00:00:02,000\nHello\n",
        "a playlist of a file": b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n",
        "a playlist of an address": b"#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:9/a.ts\n",
        "a list of files": b"ffconcat version 1.0\nfile /etc/passwd\n",
        "a list of files behind a blank": b"\n ffconcat version 1.0\nfile /etc/passwd\n",
        "a session": b"v=0\no=- 0 0 IN IP4 127.0.0.1\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 50 RTP/AVP 96\n",
        "a manifest": b"<?xml version='1.0'?><MPD type='static'><BaseURL>file:///etc/passwd</BaseURL></MPD>",
        "an image of vectors": b"<svg xmlns='http://www.w3.org/2000/svg'><image href='file:///etc/passwd'/></svg>",
    }
    for what, content in others.items():
        yield case(f"{what} named .mp4", "v.mp4", content, (UNREADABLE,))
    for format in ("png", "jpeg", "bmp", "webp", "tiff", "gif", "ppm"):
        yield case(f"{format} image", f"p.{format}", image(format), (FINE, UNREADABLE))
        yield case(f"{format} image named .mp4", "p.mp4", image(format), (FINE, UNREADABLE))


def _declared() -> Iterator[Case]:
    mp4, most = video("v.mp4"), b"\xff\xff\xff\xff"
    for box, offset, new, what in (
        ("mvhd", 12, bytes(4), "ticks of no length"),
        ("mvhd", 16, most, "an endless film"),
        ("mdhd", 12, bytes(4), "a track with ticks of no length"),
        ("mdhd", 16, most, "an endless track"),
        ("mdhd", 16, bytes(4), "a track of no duration"),
        ("stts", 4, most, "four thousand million times"),
        ("stts", 8, most, "four thousand million frames of one duration"),
        ("stts", 12, most, "frames that last years"),
        ("stsz", 8, most, "four thousand million samples"),
        ("stsz", 4, b"\x7f\xff\xff\xff", "samples of two gigabytes"),
        ("stco", 4, most, "four thousand million places"),
        ("stco", 8, most, "samples behind the end"),
        ("stsc", 4, most, "four thousand million chunks"),
        ("avc1", 24, b"\xff\xff\xff\xff", "65535 x 65535 pixels"),
        ("avc1", 24, bytes(4), "no pixels"),
        ("avcC", 0, bytes(8), "no settings of its codec"),
        ("mdat", -8, most, "a box of four gigabytes"),
        ("moov", -8, most, "an index of four gigabytes"),
        ("moov", -8, struct.pack(">I", 1), "an index of a length that is not there"),
        ("trak", -8, bytes(4), "a track to the end of the file"),
    ):
        yield case(f"mp4 declares {what}", "v.mp4", patched(mp4, box.encode(), offset, new))
    avi = video("v.avi")
    yield case("avi declares 65536 streams", "v.avi", patched(avi, b"avih", 4 + 24, b"\0\0\1\0"))
    yield case("avi declares a huge frame", "v.avi", patched(avi, b"strf", 8, most[:2] + b"\0\0" * 3))
    mkv = video("v.mkv")
    yield case("mkv declares a frame 2^32 wide", "v.mkv", patched(mkv, b"\xb0", 0, b"\x84" + most))
    for side in (20_000, 60_000, 2**31 - 1):
        yield case(f"png declares {side} x {side} pixels", "p.png", _png(side, side))
        yield case(f"y4m declares {side} x {side} pixels", "v.y4m", _y4m(side, side))
    yield case("gif declares 65535 x 65535 pixels", "v.gif", patched(video("v.gif"), b"GIF89a", 0, most))
    yield case(
        "bmp declares 30000 x 30000 pixels", "p.bmp", patched(image("bmp"), b"(\0\0\0", 0, b"0u\0\0" * 2)
    )
    yield case(
        "png of 12000 x 12000 pixels, whole", "p.png", _png(12_000, 12_000, rows=12_000), (FINE, UNREADABLE)
    )
    yield case(
        "y4m at 10^9 frames a second", "v.y4m", b"YUV4MPEG2 W4 H4 F1000000000:1 C444\nFRAME\n" + bytes(48)
    )
    yield case("y4m at no frames a second", "v.y4m", b"YUV4MPEG2 W4 H4 F0:0 C444\nFRAME\n" + bytes(48))
    yield case(
        "y4m with a frame every 30 years",
        "v.y4m",
        b"YUV4MPEG2 W4 H4 F1:1000000000 C444\n" + (b"FRAME\n" + bytes(48)) * 3,
    )


def _y4m(width: int, height: int) -> bytes:
    return f"YUV4MPEG2 W{width} H{height} F25:1 C444\nFRAME\n".encode() + bytes(1000)


def _png(width: int, height: int, *, rows: int = 1) -> bytes:
    """A black image of 1 bit per pixel, with data for ``rows`` only."""
    lines = zlib.compress(bytes(min(width, 1 << 20) // 8 + 1) * rows, 9)
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", lines) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
