"""Videos that are whole and yet unlike most: shapes, colors, codecs, clocks, sounds, further tracks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from tests.support.hostile.case import Case, every
from tests.support.hostile.media_damage import FINE, UNREADABLE, segment
from tests.support.hostile.valid_inputs import film
from tests.support.media_files import TICK, AudioTrack, VideoTrack, ffmpeg, gray, make, set_matrix, tone

LOSSLESS = {"codec": "ffv1", "options": {}}
PLAIN = {"codec": "png", "pix_fmt": "rgb24", "options": {}}

LATE = (FINE, UNREADABLE)


def cases() -> Iterator[Case]:
    """All of them."""
    yield from every(_shapes(), 17)
    yield from every(_colors(), 16)
    yield from every(_clocks(), 10)
    yield from every(_audio_frames(), 13)
    yield from every(_companions(), 4)


def _case(what: str, make: Callable[[Path], Path], codes: tuple[int, ...] = (FINE,)) -> Case:
    return Case(f"media/{what}", make, segment, codes)


def _video(name: str, *tracks: VideoTrack | AudioTrack) -> Callable[[Path], Path]:
    return lambda folder: make(folder / name, *tracks)


def _shapes() -> Iterator[Case]:
    sides = [(1, 1), (1, 2), (2, 1), (3, 5), (31, 17), (1, 500), (500, 1), (4097, 3), (16, 2160), (641, 361)]
    for width, height in sides:
        yield _case(f"{width} x {height} pixels", _video("v.mov", gray(3, size=(width, height), **PLAIN)))
    yield _case(
        "one frame of 8K",
        _video("v.mov", gray(1, size=(7680, 4320), **PLAIN)),
    )
    yield _case(
        "20 000 empty frames", _video("v.mkv", gray(20_000, size=(2, 2), codec="rawvideo", options={}))
    )
    for number, matrix in enumerate(
        [(0, 1, -1, 0), (-1, 0, 0, -1), (0, -1, 1, 0), (0, 0, 0, 0), (1, 1, 1, 1), (32767, -32768, 5, 7)]
    ):
        yield _case(
            f"turned by matrix {number}",
            lambda folder, m=matrix: set_matrix(make(folder / "v.mp4", gray(3)), m),
        )
    yield _case("a size that changes", _growing)


def _growing(folder: Path) -> Path:
    """Two raw streams, one after the other."""
    parts = [make(folder / f"{n}.h264", gray(5, size=size)) for n, size in enumerate([(64, 48), (96, 32)])]
    (folder / "v.h264").write_bytes(b"".join(part.read_bytes() for part in parts))
    return folder / "v.h264"


def _colors() -> Iterator[Case]:
    formats = (
        "yuv422p yuv444p yuv410p yuv420p10le yuv422p10le yuv444p12le yuv444p16le gray gray10le gray16le "
        "yuva420p yuva444p10le bgra rgb48le gbrp10le gbrp12le"
    )
    for name in formats.split():
        yield _case(f"pixels as {name}", _video("v.mkv", gray(3, pix_fmt=name, **LOSSLESS)))
    for codec, name, suffix in (
        ("mpeg4", "yuv420p", "mp4"),
        ("mjpeg", "yuvj422p", "avi"),
        ("libx265", "yuv420p10le", "mp4"),
        ("libvpx-vp9", "yuva420p", "webm"),
        ("libvpx-vp9", "yuv420p", "webm"),
        ("libsvtav1", "yuv420p10le", "mkv"),
        ("prores_ks", "yuva444p10le", "mov"),
        ("huffyuv", "rgb24", "avi"),
        ("png", "rgba", "mov"),
        ("gif", "rgb8", "gif"),
        ("mpeg2video", "yuv420p", "mpg"),
        ("msmpeg4v3", "yuv420p", "avi"),
        ("wmv2", "yuv420p", "wmv"),
        ("rawvideo", "monow", "nut"),
        ("libwebp", "yuv420p", "webp"),
    ):
        yield _case(
            f"{codec} {name} in {suffix}",
            lambda folder, c=codec, n=name, s=suffix: film(folder / f"v.{s}", c, n),
            (FINE, UNREADABLE),
        )


def _clocks() -> Iterator[Case]:
    for what, times in {
        "one frame": [0.0],
        "frames at irregular times": [0, 0.04, 0.05, 0.4, 0.41, 2.0],
        "one frame per hour": [0, 3600.0, 7200.0],
        "1000 frames per second": [k / 1000 for k in range(50)],
        "a start a day late": [86_400 + k / 10 for k in range(5)],
        "frames before zero": [-1 + k / 10 for k in range(5)],
        "a gap of a month": [0, 0.1, 2_600_000.0, 2_600_000.1],
    }.items():
        frames = VideoTrack(times, [60 + k % 99 for k in range(len(times))])
        for companion, tracks in (("", []), (" with sound", [AudioTrack([(0, tone(1, 16000))])])):
            yield _case(what + companion, _video("v.mkv", frames, *tracks), (FINE, UNREADABLE))
    yield _case("all frames at one time", lambda folder: _timed(folder, [0] * 6))
    yield _case("frames that run backwards", lambda folder: _timed(folder, [5, 4, 3, 2, 1, 0]))
    yield _case("frames at the end of time", lambda folder: _timed(folder, [0, 1, 2**61, 2**61 + 1]), LATE)
    yield _case("frames at the beginning of time", lambda folder: _timed(folder, [-(2**61), 0, 1]), LATE)


def _timed(folder: Path, ticks: list[int]) -> Path:
    """Raw frames with timestamps that no encoder would accept."""
    import av

    path = folder / "v.nut"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("rawvideo", rate=25)
        stream.width, stream.height, stream.pix_fmt, stream.time_base = 8, 8, "rgb24", TICK
        for number, tick in enumerate(ticks):
            packet = av.Packet(bytes([number]) * 192)
            packet.stream, packet.time_base, packet.is_keyframe = stream, TICK, True
            packet.pts = packet.dts = tick
            try:
                container.mux(packet)
            except (OSError, ValueError):
                continue  # what the muxer will not take is not in the file
    return path


def _audio_frames() -> Iterator[Case]:
    def heard(what: str, *sounds: AudioTrack, suffix: str = "mkv") -> Case:
        return _case(f"sound: {what}", _video(f"v.{suffix}", gray(10, fps=10), *sounds))

    for sample_rate in (1000, 8000, 11_025, 44_100, 96_000, 192_000, 384_000):
        yield heard(f"{sample_rate} Hz", AudioTrack([(0, tone(1, sample_rate))], sample_rate))
    for layout, channels in (("stereo", 2), ("2.1", 3), ("5.1", 6), ("7.1", 8), ("hexadecagonal", 16)):
        yield heard(layout, AudioTrack([(0, tone(1, 16000, channels=channels))], layout=layout))
    for codec, kind in (
        ("pcm_u8", "u8"),
        ("pcm_s32le", "s32"),
        ("pcm_f32le", "flt"),
        ("pcm_f64le", "dbl"),
        ("flac", "s16"),
    ):
        yield heard(codec, AudioTrack([(0, tone(1, 16000))], codec=codec, format=kind))
    plain = tone(1, 16000)
    for what, waveform in {
        "silence": plain * 0,
        "no number": plain * np.nan,
        "no number now and then": np.where(np.arange(16000) % 1000 == 0, np.nan, plain),
        "infinite": np.full_like(plain, np.inf),
        "infinite now and then": np.where(np.arange(16000) % 1000 == 0, -np.inf, plain),
        "a constant": np.ones_like(plain),
        "clipped": np.sign(plain),
        "far too loud": plain * np.float32(1e30),
        "far too quiet": plain * np.float32(1e-40),
    }.items():
        yield heard(what, AudioTrack([(0, waveform.astype(np.float32))], codec="pcm_f32le", format="flt"))
    yield heard("longer than the video", AudioTrack([(0, tone(30, 16000))]))
    yield heard("shorter than the video", AudioTrack([(0, tone(0.05, 16000))]))
    yield heard("a single sample", AudioTrack([(0, tone(1, 16000)[:, :1])]))
    yield heard("behind the video", AudioTrack([(5, plain)]))
    yield heard("in two pieces", AudioTrack([(0, plain), (90, plain)]))
    yield heard("three tracks", *[AudioTrack([(0, tone(1, 16000, hz=hz))]) for hz in (300, 500, 700)])
    yield heard(
        "tracks of several rates",
        AudioTrack([(0, tone(1, 8000))], 8000),
        AudioTrack([(0, tone(1, 48000))], 48000),
    )


def _companions() -> Iterator[Case]:
    yield _case("two video streams", _video("v.mkv", gray(5), gray(5, size=(64, 48))))
    yield _case("sound alone", _video("v.mka", AudioTrack([(0, tone(1, 16000))])), (UNREADABLE,))
    yield _case("subtitles beside it", _with_subtitles)
    yield _case("a cover beside it", lambda folder: _with_cover(folder, gray(5)))
    yield _case(
        "a cover and sound alone",
        lambda folder: _with_cover(folder, AudioTrack([(0, tone(1, 16000))])),
        (UNREADABLE,),
    )
    yield _case("a file within it", _with_attachment)
    yield _case("tags of every kind", _with_tags)


def _with_subtitles(folder: Path) -> Path:
    make(folder / "a.mkv", gray(5))
    (folder / "a.srt").write_text("1\n00:00:00,000 --> 00:00:02,000\nHello {\\an8}<b>\n")
    ffmpeg("-i", folder / "a.mkv", "-i", folder / "a.srt", "-map", "0", "-map", "1", folder / "v.mkv")
    return folder / "v.mkv"


def _with_cover(folder: Path, video_masks: VideoTrack | AudioTrack) -> Path:
    make(folder / "a.mkv", video_masks)
    make(folder / "cover.png", gray(1, codec="png", pix_fmt="rgb24", options={}))
    how = [
        "-c",
        "copy",
        "-disposition:v:0" if isinstance(video_masks, AudioTrack) else "-disposition:v:1",
        "attached_pic",
    ]
    how += ["-c:a", "aac"] if isinstance(video_masks, AudioTrack) else []
    ffmpeg(
        "-i", folder / "a.mkv", "-i", folder / "cover.png", "-map", "0", "-map", "1", *how, folder / "v.mp4"
    )
    return folder / "v.mp4"


def _with_attachment(folder: Path) -> Path:
    make(folder / "a.mkv", gray(5))
    (folder / "evil").write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    where = [
        "-attach",
        folder / "evil",
        "-metadata:s:t",
        "mimetype=application/x-sh",
        "-metadata:s:t",
        "filename=../../evil",
    ]
    ffmpeg("-i", folder / "a.mkv", "-c", "copy", *where, folder / "v.mkv")
    return folder / "v.mkv"


def _with_tags(folder: Path) -> Path:
    make(folder / "a.mkv", gray(5))
    tags = ["-metadata", "title=<script>alert(1)</script>\n\x1b[31m", "-metadata", f"comment={'x' * 50_000}"]
    ffmpeg("-i", folder / "a.mkv", "-c", "copy", *tags, folder / "v.mkv")
    return folder / "v.mkv"
