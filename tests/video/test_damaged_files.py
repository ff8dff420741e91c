from __future__ import annotations

import zlib

import av
import numpy as np
import pytest

from save_avs.errors import MediaError, UsageError
from save_avs.video import VideoWriter, probe, read_video_chunks
from tests.support.media_files import AudioTrack, cut, ffmpeg, gray, make, needs_ffmpeg, tone


@pytest.fixture
def noise():
    """Frames that do not compress, so that bytes are spread evenly over time."""
    rng = np.random.default_rng(0)

    def write(path, seconds=10.0, fps=10, sound=True, options=None):
        with av.open(str(path), "w", options=options or {}) as container:
            video = container.add_stream("mpeg4", rate=fps)
            video.width, video.height, video.pix_fmt, video.bit_rate = 64, 48, "yuv420p", 200_000
            audio = container.add_stream("aac", rate=16000, layout="mono") if sound else None
            for i in range(round(seconds * fps)):
                image = rng.integers(0, 256, (48, 64, 3), dtype=np.uint8)
                container.mux(video.encode(av.VideoFrame.from_ndarray(image)))
                if audio is not None:
                    frame = av.AudioFrame.from_ndarray(tone(1 / fps, 16000), "fltp", "mono")
                    frame.sample_rate, frame.pts = 16000, i * 16000 // fps
                    container.mux(audio.encode(frame))
            for stream in filter(None, (video, audio)):
                container.mux(stream.encode(None))
        return path

    return write


def read_end(path):
    warnings: list[str] = []
    chunks = list(read_video_chunks(path, on_warning=warnings.append))
    return chunks[-1].times[-1], warnings


def one_line(error) -> str:
    text = str(error.value)
    assert "\n" not in text
    return text


def test_missing_file_is_a_usage_error(tmp_path):
    with pytest.raises(UsageError, match="no such file") as error:
        read_video_chunks(tmp_path / "none.mp4")
    assert "none.mp4" in one_line(error)
    with pytest.raises(UsageError, match="folder"):
        probe(tmp_path)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("empty.mp4", b"", "empty"),
        ("text.mp4", b"Dear diary, this is not a video.\n" * 50, "cannot be read as video"),
        ("notes.txt", b"Dear diary, this is not a video.\n" * 50, "no video|cannot be read"),
        ("page.html", b"<html><body>404 not found</body></html>", "cannot be read as video|no video"),
        ("list.m3u8", b"#EXTM3U\n#EXTINF:10,\nclip.ts\n", "playlist"),
        ("list.mp4", b"ffconcat version 1.0\nfile chunk.mp4\n", "playlist"),
        (
            "noise.mkv",
            bytes(np.random.default_rng(1).integers(0, 256, 4000, dtype=np.uint8)),
            "cannot be read",
        ),
        ("words.srt", b"1\n00:00:00,000 --> 00:00:02,000\nHello\n", "no video"),
    ],
)
def test_files_that_are_not_video_are_refused(tmp_path, name, content, words):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(MediaError, match=words) as error:
        read_video_chunks(path)
    assert name in one_line(error)


@pytest.mark.parametrize("name", ["s.wav", "s.mp4", "s.mka"])
def test_audio_file_is_refused(tmp_path, name):
    codec, format = ("pcm_s16le", "s16") if name == "s.wav" else ("aac", "fltp")
    path = make(tmp_path / name, AudioTrack([(0, tone(1, 16000))], codec=codec, format=format))
    with pytest.raises(MediaError, match="sound only"):
        read_video_chunks(path)


@needs_ffmpeg
def test_audio_file_with_a_cover_image_is_refused(tmp_path):
    make(tmp_path / "s.mp4", AudioTrack([(0, tone(1, 16000))], codec="aac", format="fltp"))
    make(tmp_path / "cover.png", gray(1, codec="png", pix_fmt="rgb24", options={}))
    path = tmp_path / "song.m4a"
    sources = ["-i", tmp_path / "s.mp4", "-i", tmp_path / "cover.png", "-map", "0", "-map", "1"]
    ffmpeg(*sources, "-c", "copy", "-disposition:v:0", "attached_pic", path)
    with pytest.raises(MediaError, match="sound only"):
        read_video_chunks(path)


def test_mp4_cut_before_its_index_is_refused(tmp_path, noise):
    path = cut(noise(tmp_path / "v.mp4"), 0.5)
    with pytest.raises(MediaError, match="cannot be read as video"):
        read_video_chunks(path)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("v.mkv", None),
        ("v.mp4", {"movflags": "+faststart"}),
    ],
)
@pytest.mark.parametrize("sound", [True, False])
def test_cut_file_is_read_up_to_the_cut_with_a_warning(tmp_path, noise, name, options, sound):
    path = cut(noise(tmp_path / name, sound=sound, options=options), 0.5)
    end, warnings = read_end(path)
    assert 3.5 < end < 6.5
    [warning] = [w for w in warnings if "only up to" in w]
    assert f"up to {end + 0.1:.2f} s of " in warning
    assert float(warning.split(" of ")[1].split()[0]) == pytest.approx(10, abs=0.15)


@pytest.mark.parametrize(
    ("name", "options"),
    [("v.avi", None), ("v.mp4", {"movflags": "frag_keyframe+empty_moov+default_base_moof"})],
)
def test_cut_file_of_unknown_duration(tmp_path, noise, name, options):
    path = cut(noise(tmp_path / name, options=options), 0.5)
    end, warnings = read_end(path)
    assert 3.5 < end < 6.5
    assert warnings == [f"{path}: can be read only up to {end + 0.1:.2f} s (the file is truncated)"]


@pytest.mark.parametrize("name", ["v.mkv", "v.mp4", "v.avi", "v.ts", "v.mov"])
def test_complete_file_has_no_warning(tmp_path, noise, name):
    assert read_end(noise(tmp_path / name))[1] == []


@pytest.mark.parametrize("name", ["v.mkv", "v.mp4", "v.mov", "v.avi", "v.flv"])
def test_audio_longer_than_the_video_has_no_warning(tmp_path, name):
    codec = "mp3" if name == "v.avi" else "aac"
    sound = AudioTrack([(0, tone(5, 44100))], 44100, codec=codec, format="fltp")
    end, warnings = read_end(make(tmp_path / name, gray(25), sound))
    assert end == pytest.approx(0.96, abs=0.05)
    assert warnings == []


@pytest.mark.parametrize("name", ["v.mkv", "v.ts"])
def test_damage_in_the_middle_is_skipped(tmp_path, noise, name):
    path = noise(tmp_path / name)
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 6000] = bytes(np.random.default_rng(2).integers(0, 256, 6000, dtype=np.uint8))
    path.write_bytes(data)
    end, _ = read_end(path)
    assert end == pytest.approx(9.9, abs=0.15)


def damage_timestamp(path, tag: int, extra: int):
    """Flip a bit in the timestamp of an audio tag of an FLV file: 2**24 ms times ``extra``."""
    data, at, seen = bytearray(path.read_bytes()), 13, 0
    while True:
        size = int.from_bytes(data[at + 1 : at + 4], "big")
        seen += data[at] == 8
        if seen == tag:
            data[at + 7] ^= extra
            path.write_bytes(data)
            return path
        at += 11 + size + 4


@pytest.mark.parametrize("extra", [1, 32])
def test_damaged_audio_timestamp_moves_no_audio(tmp_path, extra):
    sound = AudioTrack([(0, tone(2, 44100))], 44100, codec="aac", format="fltp")
    path = damage_timestamp(make(tmp_path / "v.flv", gray(50, codec="libx264"), sound), 20, extra)
    waveform = np.concatenate([chunk.waveform for chunk in read_video_chunks(path, chunk=100)])
    loud = np.flatnonzero(np.abs(waveform) > 0.2) / 16000 - 0.5
    assert loud[0] < 0.1 and loud[-1] == pytest.approx(2, abs=0.1)
    assert np.diff(loud).max() < 0.01


def test_audio_after_a_day_of_silence_follows_directly(tmp_path):
    """A pause that long is damage: written out as silence, it would fill a disk."""
    far = AudioTrack([(0, tone(1, 16000)), (86_400, tone(1, 16000))])
    path = make(tmp_path / "v.mkv", gray(75), far)
    waveform = np.concatenate([chunk.waveform for chunk in read_video_chunks(path, chunk=100)])
    loud = np.flatnonzero(np.abs(waveform) > 0.2) / 16000 - 0.5
    assert loud[-1] == pytest.approx(2, abs=0.1)
    with VideoWriter(tmp_path / "out.mp4", width=32, height=24, fps=25, audio_from=path) as writer:
        writer.write(np.zeros((24, 32, 3), np.uint8), 0.0)
    assert (tmp_path / "out.mp4").stat().st_size < 100_000


def test_metadata_in_another_encoding_is_ignored(tmp_path, noise):
    path = noise(tmp_path / "v.avi", seconds=1)
    data = path.read_bytes()
    assert b"Lavf" in data
    path.write_bytes(data.replace(b"Lavf", b"\xe9\xe8\xff\xfe"))
    assert len(next(iter(read_video_chunks(path)))) == 10


def test_frame_larger_than_16k_is_refused_before_decoding(tmp_path):
    path = make(tmp_path / "p.png", gray(1, codec="png", pix_fmt="rgb24", options={}))
    data = bytearray(path.read_bytes())
    data[16:24] = (12_000).to_bytes(4, "big") * 2
    data[29:33] = zlib.crc32(data[12:29]).to_bytes(4, "big")
    path.write_bytes(data)
    with pytest.raises(MediaError, match="12000 x 12000 pixels"):
        probe(path)
