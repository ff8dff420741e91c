"""URLs, stdin and file objects as inputs, against the result of the same file by its path."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import quote

import numpy as np
import pytest

import save_avs
from save_avs._download import RetryPolicy
from save_avs.cli import main
from save_avs.errors import MediaError, UsageError
from save_avs.inference import spooled_input
from save_avs.inference.spooled_input import UrlInput
from tests.support.file_server import FileServer, cut, serving, stall, status, well, without_length
from tests.support.sample_videos import BrightWhereLoud


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch) -> Path:
    """A folder to work in, a folder for temporary files, a model without weights, little patience."""
    (tmp_path / "temporary").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    monkeypatch.setattr("save_avs.runtimes.load_model", lambda *_, **__: BrightWhereLoud())
    monkeypatch.setattr(spooled_input, "_RETRY", RetryPolicy(timeout=0.4, attempts=2, backoff=0.01))
    return tmp_path


@pytest.fixture
def server(video):
    with serving(video.read_bytes()) as files:
        yield files


def url_of(server: FileServer, path: str = "clip.mp4") -> str:
    return server.url.rsplit("/", 1)[0] + "/" + path


def copies() -> list[Path]:
    return list(Path("temporary").iterdir())


def masks_of(folder: str) -> list:
    return json.loads(Path(folder, "masks.json").read_text())["frames"]


def summary_of(folder: str) -> dict:
    return json.loads(Path(folder, "summary.json").read_text())


RUN = ["segment", "-o", "out", "--save", "overlay,masks"]


class TestUrl:
    def test_result_equals_that_of_the_file_and_names_the_url(self, server, video):
        url = url_of(server, "films/my%20clip.mp4?token=1")
        assert main([*RUN, url, str(video)]) == 0
        assert masks_of("out/my clip") == masks_of("out/clip")
        assert Path("out/my clip/overlay.mp4").stat().st_size > 0
        assert server.paths == ["/films/my%20clip.mp4?token=1"]  # one request
        summary = summary_of("out/my clip")
        assert summary["source"] == summary["video"]["path"] == url
        size = video.stat().st_size
        assert summary["key"]["source"] == {"url": url, "validator": '"one"', "size": size}
        assert copies() == []

    def test_broken_connection_is_continued(self, server, video):
        server.script = [cut(0.5)]
        assert main([*RUN, url_of(server), str(video)]) == 0
        assert server.requests[1]["Range"] == f"bytes={video.stat().st_size // 2}-"
        assert masks_of("out/clip") == masks_of("out/clip-2")

    def test_a_failure_is_one_line_and_the_others_are_done(self, server, video, capsys):
        server.script = [status(404)] + [stall] * 2 + [without_length]
        urls = [url_of(server, name) for name in ("missing.mp4", "slow.mp4", "text.mp4")]
        server.content = b"no video" * 100
        assert main([*RUN, *urls, str(video)]) == 3
        failed = [line for line in capsys.readouterr().err.splitlines() if line.startswith("failed: ")]
        assert failed[0] == f"failed: {urls[0]}: not found (404)"
        assert failed[1] == f"failed: {urls[1]}: the server sent nothing for 0.4 s, after 2 attempts"
        assert failed[2].startswith(f"failed: {urls[2]}: cannot be read as video (") and len(failed) == 3
        assert sorted(path.name for path in Path("out").iterdir()) == ["clip", "failed.jsonl"]
        entries = [json.loads(line) for line in Path("out/failed.jsonl").read_text().splitlines()]
        assert [entry["source"] for entry in entries] == urls
        assert copies() == []

    def test_a_copy_is_removed_before_the_next_is_made(self, server):
        seen = []

        def answer(handler):
            seen.append(len(copies()))
            well(handler)

        server.usual = answer
        assert main([*RUN, url_of(server, "a.mp4"), url_of(server, "b.mp4")]) == 0
        assert seen == [1, 1]

    def test_without_space_on_the_disk_nothing_is_received(self, server, monkeypatch, capsys):
        usage = SimpleNamespace(total=1, used=1, free=10)
        monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
        assert main([*RUN, url_of(server)]) == 3
        assert "no space for" in capsys.readouterr().err

    def test_warnings_name_the_url(self, mute_video, capsys):
        with serving(mute_video.read_bytes()) as server:
            assert main([*RUN, url_of(server)]) == 0
            assert f"warning: {url_of(server)}: has no sound\n" in capsys.readouterr().err
            assert summary_of("out/clip")["warnings"] == [f"{url_of(server)}: has no sound"]

    def test_resume_asks_for_the_headers_only(self, server, capsys):
        assert main([*RUN, url_of(server)]) == 0
        assert main([*RUN, url_of(server), "--resume"]) == 0
        assert "kept" in capsys.readouterr().out and len(server.requests) == 2
        assert "Range" not in server.requests[1]

    @pytest.mark.parametrize("refusal", [403, 405])
    def test_resume_works_where_the_server_refuses_head(self, server, capsys, refusal):
        def answer(handler):
            (status(refusal) if handler.command == "HEAD" else well)(handler)

        server.usual = answer
        assert main([*RUN, url_of(server)]) == 0
        assert main([*RUN, url_of(server), "--resume"]) == 0
        assert "kept" in capsys.readouterr().out
        assert copies() == []

    @pytest.mark.parametrize("name", ["\u4e2d" * 100, "\U0001f600" * 99, "a" * 300])
    def test_long_name_of_any_script_fits_the_file_system(self, server, name):
        assert main([*RUN, url_of(server, f"{quote(name)}.mp4")]) == 0
        (folder,) = Path("out").iterdir()
        assert name.startswith(folder.name) and (folder / "masks.json").exists()

    def test_redirects_in_circles_are_one_plain_line(self, server, capsys):
        def answer(handler):
            handler.send_response(302)
            handler.send_header("Location", handler.path)
            handler.end_headers()

        server.usual = answer
        assert main([*RUN, url_of(server)]) == 3
        assert f"failed: {url_of(server)}: redirects in circles (302)\n" in capsys.readouterr().err

    @pytest.mark.parametrize("change", ["etag", "size"])
    def test_resume_segments_a_changed_file_again(self, server, capsys, change):
        assert main([*RUN, url_of(server)]) == 0
        if change == "etag":
            server.etag = '"two"'
        else:
            server.content += b"\0" * 8
        assert main([*RUN, url_of(server), "--resume"]) == 0
        assert "the file has changed" in capsys.readouterr().err
        assert len(server.requests) == 3

    def test_resume_compares_the_content_where_the_server_gives_no_etag(self, server, capsys):
        server.etag = None
        assert main([*RUN, url_of(server)]) == 0
        assert "sha256" in summary_of("out/clip")["key"]["source"]
        assert main([*RUN, url_of(server), "--resume"]) == 0
        assert "kept" in capsys.readouterr().out
        server.content = server.content[:-1] + b"?"
        assert main([*RUN, url_of(server), "--resume"]) == 0
        assert "the file has changed" in capsys.readouterr().err
        assert copies() == []

    def test_dry_run_fetches_nothing(self, server, capsys):
        assert main([*RUN, url_of(server), "--dry-run"]) == 0
        assert capsys.readouterr().out == f"{url_of(server)} -> out/clip\n"
        assert server.requests == []

    def test_from_python_the_copy_lasts_as_long_as_the_result(self, server, video, tmp_path):
        result = save_avs.segment(url_of(server), model=BrightWhereLoud())
        np.testing.assert_array_equal(result.masks, save_avs.segment(video, model=BrightWhereLoud()).masks)
        assert "clip.mp4" in repr(result)
        assert result.overlay(tmp_path / "o.mp4").stat().st_size > 0
        assert len(copies()) == 1
        del result
        assert copies() == []

    @pytest.mark.parametrize(
        "url", ["https://", "http://user@host/a.mp4", "http://host:0/a", "http://h/a b", "http://[::1/a"]
    )
    def test_a_url_that_cannot_be_fetched_is_wrong_usage(self, url, capsys):
        assert main([*RUN, url]) == 2
        assert "not a URL that can be fetched" in capsys.readouterr().err

    @pytest.mark.parametrize(
        ("url", "stem"),
        [
            ("https://host/a/clip.mp4?x=/y.mkv#z", "clip"),
            ("https://host/", "host"),
            ("https://host.example:80", "host"),
            ("https://host/..%2F..%2Fetc%2Fpasswd", "passwd"),
            ("https://host/a%00b%0A.mp4", "a_b_"),
            ("https://host/%2E%2E", "video"),
            ("https://host/" + "x" * 300 + ".mp4", "x" * 150),
        ],
    )
    def test_result_folder_is_a_plain_name(self, url, stem):
        assert UrlInput(url).stem == stem


class TestStdin:
    def run(self, data: bytes, monkeypatch, *arguments: str) -> int:
        stdin = SimpleNamespace(buffer=io.BytesIO(data), isatty=lambda: False)
        monkeypatch.setattr(sys, "stdin", stdin)
        return main([*RUN, "-", *arguments])

    def test_result_equals_that_of_the_file(self, video, monkeypatch):
        assert self.run(video.read_bytes(), monkeypatch, str(video)) == 0
        assert masks_of("out/stdin") == masks_of("out/clip")
        assert summary_of("out/stdin")["source"] == "stdin" and copies() == []

    def test_resume_compares_the_content(self, video, monkeypatch, capsys):
        data = video.read_bytes()
        assert self.run(data, monkeypatch) == self.run(data, monkeypatch, "--resume") == 0
        assert "kept" in capsys.readouterr().out
        assert self.run(data + b"\0" * 8, monkeypatch, "--resume") == 0
        assert "the file has changed" in capsys.readouterr().err and copies() == []

    def test_empty_stdin_is_one_line(self, monkeypatch, capsys):
        assert self.run(b"", monkeypatch) == 3
        assert "failed: stdin: empty, nothing was read from it\n" in capsys.readouterr().err
        assert copies() == [] and not Path("out/stdin").exists()

    def test_a_terminal_is_wrong_usage(self, monkeypatch, capsys):
        monkeypatch.setattr(sys, "stdin", SimpleNamespace(isatty=lambda: True))
        assert main([*RUN, "-"]) == 2
        assert "stdin is a terminal" in capsys.readouterr().err

    def test_dry_run_reads_nothing(self, monkeypatch, capsys):
        assert self.run(b"unread", monkeypatch, "--dry-run") == 0
        assert capsys.readouterr().out == "stdin -> out/stdin\n" and sys.stdin.buffer.tell() == 0


class Pieces(io.RawIOBase):
    """Gives at most a few bytes for each read, and counts the largest request."""

    def __init__(self, data: bytes) -> None:
        self.rest, self.largest = io.BytesIO(data), 0

    def read(self, size: int = -1) -> bytes:
        self.largest = max(self.largest, size if size >= 0 else 1 << 60)
        return self.rest.read(min(size, 1000))


class TestFileObjects:
    def test_result_equals_that_of_the_file(self, video):
        expected = save_avs.segment(video, model=BrightWhereLoud(), fps=5).masks
        pieces = Pieces(video.read_bytes())
        with video.open("rb") as file:
            files = [file, io.BytesIO(video.read_bytes()), pieces]
            results = save_avs.segment(files, model=BrightWhereLoud(), fps=5)
        for result in results:
            np.testing.assert_array_equal(result.masks, expected)
        assert pieces.largest <= 1 << 20  # bounded memory
        assert [result.summary()["source"] for result in results] == [str(video), "video", "video"]

    def test_several_are_written_to_folders_of_their_names(self, video):
        with video.open("rb") as file:
            save_avs.segment(
                [io.BytesIO(video.read_bytes()), file],
                model=BrightWhereLoud(),
                fps=5,
                outputs=("masks",),
                directory="out",
            )
        assert sorted(path.name for path in Path("out").iterdir()) == ["clip", "video"]

    def test_text_and_emptiness_are_refused(self):
        with pytest.raises(UsageError, match="open it with mode 'rb'"):
            save_avs.segment(io.StringIO("text"), model=BrightWhereLoud())
        with pytest.raises(MediaError, match="video: empty"):
            save_avs.segment(io.BytesIO(), model=BrightWhereLoud())
        assert copies() == []


def test_a_pipe_of_another_program_is_read(video):
    run = "import sys; from save_avs.inference.spooled_input import open_stdin;"
    run += "spooled = open_stdin(); print(spooled.local.stat().st_size, spooled.fingerprint()['size'])"
    with video.open("rb") as file:
        done = subprocess.run([sys.executable, "-c", run], stdin=file, capture_output=True, check=True)
    assert done.stdout.split() == [str(video.stat().st_size).encode()] * 2


@pytest.mark.parametrize("kind", ["text", "closed", "for writing"])
def test_file_object_that_gives_no_bytes_is_a_usage_error(kind, tmp_path):
    path = tmp_path / "clip.mp4"
    path.write_bytes(b"\xad\xff" * 99)
    with path.open({"text": "r", "closed": "rb", "for writing": "ab"}[kind]) as file:
        if kind == "closed":
            file.close()
        with pytest.raises(UsageError, match="open it with mode 'rb'"):
            save_avs.segment(file, model=BrightWhereLoud())
    assert copies() == []
