"""Untrusted dataset files: pipes, devices, bombs and playlists in place of images and audio."""

from __future__ import annotations

import os
import socket
import struct
import zlib
from pathlib import Path

import pytest

from save_avs._files import open_regular
from save_avs.datasets.avs_synthetic import read_annotations
from save_avs.datasets.avsbench_semantic import class_names
from save_avs.datasets.clip_files import read_frame, read_plain_pickle, read_table, read_waveform
from save_avs.datasets.shards import read_index
from save_avs.datasets.stored_files import Shard
from save_avs.errors import DataError, MediaError, UsageError
from save_avs.synthesis.corpus import Manifest, load_cutout
from save_avs.video.audio_reader import load_audio

READERS = {
    "x.png": read_frame,
    "x.wav": read_waveform,
    "x.pkl": read_plain_pickle,
    "x.csv": lambda path: read_table(path, ["a"]),
    "cutout.png": load_cutout,
    "annotations.csv": read_annotations,
    "label2idx.json": lambda path: class_names(path.parent),
    "shards.json": lambda path: read_index(path.parent),
    "x.tar": lambda path: Shard(path, 0).check(path),
}


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("kind", ["pipe", "device", "folder"])
def test_special_files_are_refused_without_waiting(tmp_path, name, kind):
    path = tmp_path / name
    match kind:
        case "pipe":
            os.mkfifo(path)
        case "device":
            path.symlink_to("/dev/zero")
        case "folder":
            path.mkdir()
    with pytest.raises(DataError) as error:
        READERS[name](path)
    assert str(path) in str(error.value) and "\n" not in str(error.value)


def test_impossible_file_name_is_refused():
    with pytest.raises(OSError, match="not a file"):
        open_regular(Path("a\0b"))


def test_audio_that_is_a_pipe_is_refused(tmp_path):
    os.mkfifo(tmp_path / "a.wav")
    with pytest.raises(MediaError, match="not a file"):
        load_audio(tmp_path / "a.wav", sample_rate=16_000)


def test_manifest_that_is_a_pipe_is_refused(tmp_path):
    os.mkfifo(tmp_path / "corpus.json")
    with pytest.raises(UsageError, match="not a file"):
        Manifest.load(tmp_path)


@pytest.mark.parametrize("read", [read_frame, load_cutout])
def test_image_that_declares_gigabytes_is_refused(read, tmp_path):
    header = struct.pack(">IIBBBBB", 60_000, 60_000, 1, 0, 0, 0, 0)
    chunks = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(100))) + chunk(b"IEND", b"")
    (tmp_path / "x.png").write_bytes(b"\x89PNG\r\n\x1a\n" + chunks)
    with pytest.raises(DataError, match="cannot be read as an image"):
        read(tmp_path / "x.png")


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def test_playlist_instead_of_audio_connects_nowhere(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        address = f"http://127.0.0.1:{server.getsockname()[1]}/a.ts"
        path = tmp_path / "a.wav"
        path.write_text(f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{address}\n#EXT-X-ENDLIST\n")
        with pytest.raises(DataError):
            read_waveform(path)
        with pytest.raises(TimeoutError):
            server.accept()
