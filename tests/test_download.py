"""Downloads from a server that cuts, stalls, sends wrong sizes and changes its files."""

from __future__ import annotations

import random
import time
import urllib.request
from collections.abc import Iterator
from email.message import Message
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace

import pytest

from save_avs._download import (
    FileOrigin,
    RetryPolicy,
    _SecureRedirects,
    ask_origin,
    discard_partial,
    download,
)
from save_avs.errors import DataError, SaveAvsError
from tests.support.file_server import (
    FileServer,
    changing,
    cut,
    redirect,
    says,
    serving,
    stall,
    status,
    without_length,
    wrong_range,
)

CONTENT = random.Random(0).randbytes(600_000)
OTHER = random.Random(1).randbytes(600_000)
QUICK = RetryPolicy(timeout=0.4, attempts=3, backoff=0.01)


@pytest.fixture
def server() -> Iterator[FileServer]:
    with serving(CONTENT) as files:
        yield files


@pytest.fixture
def part(tmp_path: Path) -> Path:
    return tmp_path / "part"


def get(server: FileServer, part: Path, **options) -> bytes:
    download(server.url, part, retry=QUICK, **options)
    return part.read_bytes()


def failure(server: FileServer, part: Path, **options) -> SaveAvsError:
    with pytest.raises(SaveAvsError) as caught:
        get(server, part, **options)
    assert "\n" not in str(caught.value) and server.url in str(caught.value)
    return caught.value


def test_complete_download_reports_progress(server, part):
    heard = []
    assert get(server, part, on_bytes=lambda done, total: heard.append((done, total))) == CONTENT
    assert heard[0] == (0, 600_000) and heard[-1] == (600_000, 600_000)
    assert heard == sorted(heard) and len(server.requests) == 1


def test_interrupted_download_resumes_with_a_range_request(server, part):
    server.script = [cut(0.5), cut(0.5)]
    assert get(server, part) == CONTENT
    assert [request.get("Range") for request in server.requests] == [None, "bytes=300000-", "bytes=450000-"]
    assert server.requests[1]["If-Range"] == '"one"'


def test_stalled_download_resumes(server, part):
    server.script = [stall]
    began = time.monotonic()
    assert get(server, part) == CONTENT
    assert time.monotonic() - began < 5
    assert server.requests[1]["Range"] == "bytes=300000-"


def test_download_resumes_in_another_run(server, part):
    server.script = [cut(0.5)] * 3
    line = str(failure(server, part))
    assert "the connection was cut at 525,000 of 600,000 bytes, after 3 attempts" in line
    assert get(server, part) == CONTENT
    assert server.requests[-1]["Range"] == "bytes=525000-"


def test_complete_file_needs_no_request(server, part):
    get(server, part)
    get(server, part)
    assert len(server.requests) == 1


def test_changed_file_is_downloaded_from_the_start(server, part):
    server.script = [cut(0.5), changing(OTHER, '"two"')]
    assert get(server, part) == OTHER
    assert server.requests[1]["If-Range"] == '"one"'


def test_changed_file_is_resumed_by_its_new_etag(server, part):
    server.script = [cut(0.5), changing(OTHER, '"two"', cut(0.5))]
    assert get(server, part) == OTHER
    assert server.requests[2]["If-Range"] == '"two"' and server.requests[2]["Range"] == "bytes=300000-"


def test_file_that_became_shorter_is_downloaded_from_the_start(server, part):
    server.script = [cut(0.5), changing(CONTENT[:1000], '"one"')]
    assert get(server, part) == CONTENT[:1000]


def test_server_without_ranges_sends_the_complete_file(server, part):
    server.ranges = False
    server.script = [cut(0.5)]
    assert get(server, part) == CONTENT


def test_file_without_etag_is_downloaded_from_the_start(server, part):
    server.etag = None
    server.script = [cut(0.5)]
    assert get(server, part) == CONTENT
    assert "Range" not in server.requests[1]


def test_weak_etag_is_not_used_to_resume(server, part):
    server.etag = 'W/"one"'
    server.script = [cut(0.5)]
    assert get(server, part) == CONTENT
    assert "Range" not in server.requests[1]


def test_wrong_range_is_not_appended(server, part):
    server.script = [cut(0.5), wrong_range]
    assert get(server, part) == CONTENT


def test_partial_file_of_another_url_is_not_resumed(server, part):
    part.write_bytes(OTHER[:1000])
    assert get(server, part) == CONTENT


def test_response_without_length_is_read_to_the_end(server, part):
    server.script = [without_length]
    assert get(server, part) == CONTENT


def test_shorter_body_than_announced_is_an_interruption(server, part):
    server.etag = None
    server.script = [says(700_000)] * 3
    error = failure(server, part)
    assert "the connection was cut at 600,000 of 700,000 bytes, after 3 attempts" in str(error)


def test_announced_size_other_than_the_known_one_is_refused(server, part):
    error = failure(server, part, size=600_001)
    assert isinstance(error, DataError)
    assert "the server has 600,000 bytes instead of 600,001" in str(error)
    assert not part.exists() and len(server.requests) == 1


@pytest.mark.parametrize(("code", "said"), [(404, "not found"), (403, "access denied"), (410, "gone")])
def test_client_errors_are_not_retried(server, part, code, said):
    server.script = [status(code)]
    assert f"{said} ({code})" in str(failure(server, part))
    assert len(server.requests) == 1


def test_server_errors_are_retried(server, part):
    server.script = [status(500), status(503)]
    assert get(server, part) == CONTENT
    server.script = [status(500)] * 3
    discard_partial(part)
    assert "the server answers 500 (Internal Server Error), after 3 attempts" in str(failure(server, part))


def test_backoff_doubles(server, part, monkeypatch):
    pauses = []
    own = SimpleNamespace(sleep=pauses.append, monotonic=time.monotonic)  # other threads have theirs
    monkeypatch.setattr("save_avs._download.time", own)
    server.script = [status(503)] * 4
    download(server.url, part, retry=RetryPolicy(timeout=1, attempts=5, backoff=1.0))
    assert pauses == [1, 2, 4, 8]


def test_attempts_with_progress_do_not_count_as_failures(part):
    with serving(random.Random(2).randbytes(8 * 2**20)) as server:
        server.script = [cut(0.3)] * 4  # more than QUICK bears in a row
        assert get(server, part) == server.content


def test_unreachable_server_is_an_error(part):
    with pytest.raises(SaveAvsError, match=r"cannot be reached \(Connection refused\), after 2 attempts"):
        download("http://127.0.0.1:9/x", part, retry=RetryPolicy(timeout=1, attempts=2, backoff=0.01))


def test_redirect_to_http_is_followed(server, part):
    server.script = [redirect("/elsewhere")]
    assert get(server, part) == CONTENT
    assert server.paths == ["/weights.pth", "/elsewhere"]


@pytest.mark.parametrize("scheme", ["file", "ftp"])
def test_redirect_to_another_scheme_is_refused(scheme, server, part, tmp_path):
    (tmp_path / "secret").write_text("secret")
    server.script = [redirect((tmp_path / "secret").as_uri() if scheme == "file" else "ftp://127.0.0.1/x")]
    failure(server, part)
    assert not part.exists() or b"secret" not in part.read_bytes()


def test_redirect_from_https_to_http_is_refused():
    request = urllib.request.Request("https://example.org/weights.pth")
    with pytest.raises(SaveAvsError, match="which is not followed"):
        _SecureRedirects().redirect_request(
            request, BytesIO(), 302, "Found", Message(), "http://example.org/weights.pth"
        )


def test_origin_is_the_one_of_the_download(server, part):
    asked = ask_origin(server.url)
    assert asked == FileOrigin(server.url, '"one"', 600_000) == download(server.url, part, retry=QUICK)
    server.script = [status(404)]
    with pytest.raises(SaveAvsError, match=r"not found \(404\)"):
        ask_origin(server.url)


def test_file_larger_than_the_free_space_is_refused_before_it_is_received(server, part, monkeypatch):
    usage = SimpleNamespace(total=10**9, used=10**9 - 599_999, free=599_999)
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage)
    with pytest.raises(SaveAvsError, match="no space for 600,000 bytes, 599,999 are free"):
        get(server, part)
    assert part.read_bytes() == b""
