"""`save-avs live`: JSON lines and a growing overlay, from senders on this machine, stopped in every way."""

from __future__ import annotations

import functools
import json
import os
import shutil
import signal
import socket
import subprocess
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

import save_avs
from save_avs._rle import decode_rle
from save_avs.cli import live, main
from save_avs.video import read_video_chunks
from tests.support.file_server import cut, serving
from tests.support.media_files import ffmpeg as run_ffmpeg
from tests.support.media_files import needs_ffmpeg, needs_ffprobe
from tests.support.sample_videos import BrightWhereLoud
from tests.support.stream_senders import ffmpeg, free_port

ENDLESS = "lavfi:color=white:size=96x64:rate=25,realtime[out0];sine[out1]"


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch) -> Path:
    """An empty folder to work in, and a model that needs no weights."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("save_avs.runtimes.load_model", lambda *_, **__: BrightWhereLoud())
    return tmp_path


@pytest.fixture
def transport_stream(video, tmp_path) -> Path:
    path = tmp_path / "clip.ts"
    run_ffmpeg("-i", video, "-c", "copy", path)
    return path


def frames_of(text: str) -> list[dict]:
    return [json.loads(line) for line in text.splitlines()]


def mask_of(frame: dict) -> np.ndarray:
    code = frame["segmentation"]
    return decode_rle(code["counts"].encode(), tuple(code["size"]))


def ffprobe_count(path: Path | str) -> int:
    command = ["ffprobe", "-v", "error", "-select_streams", "v:0", "-count_frames", "-of", "csv=p=0"]
    command += ["-show_entries", "stream=nb_read_frames", str(path)]
    text = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout
    return int(text.split()[0].strip(","))


@needs_ffmpeg
@needs_ffprobe
@pytest.mark.parametrize("name", ["o.mp4", "o.mkv"])
def test_http_stream_gives_the_masks_of_the_file(transport_stream, name, capsys):
    with serving(transport_stream.read_bytes()) as server:
        assert main(["live", server.url, "--overlay", name]) == 0
    frames = frames_of(capsys.readouterr().out)
    expected = save_avs.segment(transport_stream, model=BrightWhereLoud())
    np.testing.assert_array_equal([mask_of(frame) for frame in frames], expected.masks)
    np.testing.assert_allclose([frame["score"] for frame in frames], expected.scores, atol=1e-6)
    np.testing.assert_allclose(np.diff([frame["time"] for frame in frames]), 0.1, atol=1e-3)
    for frame in frames:
        rows, columns = np.nonzero(mask_of(frame))
        box = [columns.min(), rows.min(), np.ptp(columns) + 1, np.ptp(rows) + 1] if len(rows) else None
        assert frame["box"] == box
    assert ffprobe_count(name) == len(frames) == 40
    images = np.concatenate([chunk.frames for chunk in read_video_chunks(name)])
    source = np.concatenate([chunk.frames for chunk in read_video_chunks(transport_stream)])
    changed = np.abs(images.astype(int) - source).max(axis=3) > 60
    assert (changed & expected.masks).sum() > 0.9 * expected.masks.sum()  # drawn where the mask is


@needs_ffmpeg
def test_udp_stream_for_a_second(transport_stream, capsys):
    url = f"udp://127.0.0.1:{free_port(socket.SOCK_DGRAM)}"
    with ffmpeg("-re", "-stream_loop", "-1", "-i", str(transport_stream), "-c", "copy", "-f", "mpegts", url):
        assert main(["live", url, "--duration", "1", "--fps", "5"]) == 0
    frames = frames_of(capsys.readouterr().out)
    assert 3 <= len(frames) <= 5
    assert all(step == pytest.approx(0.2, abs=0.11) for step in np.diff([frame["time"] for frame in frames]))


@needs_ffmpeg
def test_hls_playlist(transport_stream, tmp_path, capsys):
    split = ["-c", "copy", "-f", "hls", "-hls_time", "1", "-hls_playlist_type", "vod"]
    (tmp_path / "hls").mkdir()
    run_ffmpeg("-i", transport_stream, *split, tmp_path / "hls" / "clip.m3u8")
    handler = functools.partial(QuietHandler, directory=str(tmp_path / "hls"))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        assert main(["live", f"http://127.0.0.1:{server.server_port}/clip.m3u8"]) == 0
        server.shutdown()
    assert len(frames_of(capsys.readouterr().out)) == 40


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


@needs_ffprobe
@pytest.mark.parametrize(
    ("name", "number", "code", "word"), [("o.mp4", 2, 130, "Interrupted"), ("o.mkv", 15, 143, "Terminated")]
)
def test_a_signal_leaves_a_complete_overlay(name, number, code, word, monkeypatch, capsys):
    printed = []

    def print_and_stop(text: str) -> None:
        printed.append(text)
        if len(printed) == 10:
            os.kill(os.getpid(), number)

    monkeypatch.setattr(live, "print_block", print_and_stop)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # processes of pytest-xdist ignore it
    try:
        assert main(["live", ENDLESS, "--overlay", name]) == code
    finally:
        signal.signal(signal.SIGINT, before)
    assert capsys.readouterr().err.endswith(f"save-avs: {word}. {name} is complete up to here.\n")
    assert ffprobe_count(name) >= 10
    names = [thread.name for thread in threading.enumerate()]
    assert "save-avs-live" not in names
    assert main(["live", "missing", "--overlay", "x.mp4"]) == 2
    assert "complete" not in capsys.readouterr().err


@needs_ffprobe
@pytest.mark.parametrize("name", ["o.mp4", "o.mkv"])
def test_overlay_can_be_played_while_it_grows(name, monkeypatch):
    seen = []

    def look(text: str) -> None:
        seen.append(text)
        if len(seen) == 80:
            shutil.copy(name, f"copy-{name}")

    monkeypatch.setattr(live, "print_block", look)
    four_seconds = "lavfi:color=white:size=96x64:rate=25:d=4[out0];sine=d=4[out1]"
    assert main(["live", four_seconds, "--overlay", name]) == 0
    assert 25 <= ffprobe_count(f"copy-{name}") <= 90


def flash_and_beep(path: Path) -> Path:
    white = "color=black:s=96x64:r=25:d=2,geq=lum='if(between(N,25,26),235,16)':cb=128:cr=128"
    beep = "aevalsrc='if(between(t,1,1.08),0.8*sin(2*PI*1000*t),0)':s=48000:d=2"
    encoding = ["-c:v", "libx264", "-preset", "ultrafast", "-bf", "0", "-pix_fmt", "yuv420p", "-c:a", "aac"]
    run_ffmpeg("-f", "lavfi", "-i", white, "-f", "lavfi", "-i", beep, *encoding, path)
    return path


def offset_of_beep(path: Path | str) -> float:
    [chunk] = read_video_chunks(path, chunk=1000, sample_rate=48000)
    flash = chunk.times[np.argmax(chunk.frames.mean(axis=(1, 2, 3)) > 120)]
    at = chunk.waveform_start + np.argmax(np.abs(chunk.waveform) > 0.2) / chunk.sample_rate
    return float(at - flash)


@needs_ffmpeg
@pytest.mark.parametrize("name", ["o.mp4", "o.mkv"])
def test_sound_of_the_overlay_is_in_sync(tmp_path, name):
    source = flash_and_beep(tmp_path / "source.ts")
    with serving(source.read_bytes()) as server:
        assert main(["live", server.url, "--overlay", name]) == 0
    assert offset_of_beep(name) == pytest.approx(offset_of_beep(source), abs=0.005)


@needs_ffmpeg
@needs_ffprobe
def test_a_source_that_breaks_off_ends_in_one_line(transport_stream, capsys):
    with serving(transport_stream.read_bytes()) as server:
        server.usual = cut(0.5)
        assert main(["live", server.url, "--overlay", "o.mkv", "--timeout", "1"]) == 3
    out, err = capsys.readouterr()
    assert err.splitlines()[-1].startswith(f"save-avs: {server.url}: failed while it was read (")
    assert 10 <= len(frames_of(out)) == ffprobe_count("o.mkv") < 40


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["98"], 2, "/dev/video98: no such file"),
        (["rtsp://127.0.0.1:9/x"], 3, "rtsp://127.0.0.1:9/x: cannot be opened (Connection refused)"),
        ([ENDLESS, "--overlay", "o.avi"], 2, "o.avi: the overlay must be an .mp4 or .mkv file"),
        ([ENDLESS, "--overlay", "missing/o.mp4"], 2, "missing/o.mp4: cannot be written"),
        ([ENDLESS, "--overlay", "there.mp4"], 2, "there.mp4 already exists"),
        ([ENDLESS, "--duration", "0"], 2, "--duration must be a number of seconds above 0"),
        ([ENDLESS, "--timeout", "nan"], 2, "--timeout must be a number of seconds above 0"),
        ([ENDLESS, "--fps", "-1"], 2, "fps must be above 0"),
        (["there.mp4", "--overlay", "there.mp4", "--overwrite"], 2, "there.mp4: is a source itself"),
        (["there.mp4", "--audio-source", "a.wav"], 2, "segment it with --audio FILE instead"),
        ([ENDLESS, "--tone-map", "on"], 2, "tone_map must be auto or off"),
    ],
)
def test_wrong_use_is_one_line(arguments, code, said, capsys):
    Path("there.mp4").touch()
    assert main(["live", *arguments]) == code
    assert said in capsys.readouterr().err
    assert [path.name for path in Path().iterdir()] == ["there.mp4"]
