"""Download of videos: allowed hosts only, no redirects, no private addresses."""

from __future__ import annotations

import socket

import pytest

from save_avs.errors import UsageError
from save_avs.serving import url_fetch
from save_avs.serving.job import JobFailedError
from save_avs.serving.url_fetch import check_url, fetch
from tests.support import file_server
from tests.support.file_server import redirect, stall, status, without_length

CONTENT = bytes(range(256)) * 40


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/a.mp4",
        "http://example.org.evil.com/a.mp4",
        "http://example.org:8080/a.mp4",
        "http://user@example.org/a.mp4",
        "http://example.org@evil.com/a.mp4",
        "https://evil.com/example.org",
        "file:///etc/passwd",
        "ftp://example.org/a.mp4",
        "gopher://example.org",
        "//example.org/a.mp4",
        "http:///a.mp4",
        "http://[::1/a.mp4",
        "http://example.org:99999/",
        "http://example.org/a b",
        "http://example.org/ä",
        "http://example.org/a\r\nHost: evil",
        "",
    ],
)
def test_a_url_off_the_list_is_refused(url):
    with pytest.raises(UsageError):
        check_url(url, ("example.org",))


def test_a_url_on_the_list_is_parsed():
    link = check_url("https://Example.org./a/b.mp4?x=1#part", ("example.org",))
    found = (link.scheme, link.host, link.port, link.target)
    assert found == (b"https", b"example.org", 443, b"/a/b.mp4?x=1")
    assert check_url("http://example.org:8080", ("example.org:8080",)).target == b"/"
    assert check_url("http://example.org:80/a", ("example.org",)).port == 80


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.1.2.3",
        "192.168.0.1",
        "169.254.169.254",
        "0.0.0.0",
        "224.0.0.1",
        "100.64.0.1",
        "::1",
        "fe80::1",
        "fd00::1",
        "::ffff:127.0.0.1",
    ],
)
def test_a_name_with_a_private_address_is_refused(address, monkeypatch, tmp_path):
    good = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("93.184.216.34", 80))
    bad = (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 80))
    monkeypatch.setattr(url_fetch.socket, "getaddrinfo", lambda *_, **__: [good, bad])
    monkeypatch.setattr(url_fetch.socket, "socket", lambda *_: pytest.fail("connected"))
    with pytest.raises(UsageError, match="private address"):
        fetch("http://example.org/a", tmp_path / "a", hosts=("example.org",), size=9, time=9)
    with pytest.raises(UsageError, match="private address"):
        fetch("http://localhost/a", tmp_path / "a", hosts=("localhost",), size=9, time=9)


@pytest.fixture
def host():
    with file_server.serving(CONTENT) as files:
        yield files


def get(files, tmp_path, size=10_240):
    to = tmp_path / "video"
    fetch(files.url, to, hosts=(files.url.split("/")[2],), size=size, time=20)
    return to.read_bytes()


def test_a_video_arrives_whole(host, tmp_path):
    assert get(host, tmp_path) == CONTENT
    host.script.append(without_length)
    assert get(host, tmp_path) == CONTENT


def test_redirects_are_not_followed(host, tmp_path):
    host.script.append(redirect("http://169.254.169.254/latest/meta-data"))
    with pytest.raises(JobFailedError, match="answered with status 302"):
        get(host, tmp_path)
    assert len(host.paths) == 1


@pytest.mark.parametrize("answer", [status(404), status(206), file_server.cut(0.5)])
def test_anything_but_the_complete_video_is_a_failure(answer, host, tmp_path):
    host.script.append(answer)
    with pytest.raises(JobFailedError) as error:
        get(host, tmp_path)
    assert error.value.code == "not_fetched"


def test_limits_hold_while_it_arrives(host, tmp_path, monkeypatch):
    with pytest.raises(JobFailedError) as error:
        get(host, tmp_path, size=len(CONTENT) - 1)
    assert error.value.code == "too_large"
    monkeypatch.setattr(url_fetch, "_IDLE_TIMEOUT", 0.2)
    host.script.append(stall)
    with pytest.raises(JobFailedError, match="timed out"):
        get(host, tmp_path)


def test_the_service_fetches_only_when_it_may(served, stalled):
    answer = served.client.post("/v1/segment", files={"url": (None, "http://example.org/a.mp4")})
    assert answer.status_code == 422 and "fetches no videos" in answer.json()["error"]["message"]
    answer = stalled.client.post("/v1/segment", files={"url": (None, "http://169.254.169.254/")})
    assert answer.status_code == 422 and "not on this server's list" in answer.json()["error"]["message"]


def test_a_job_from_a_url(stalled, video):
    stalled.host.content = video.read_bytes()
    stalled.host.script.insert(0, file_server.well)
    job = stalled.ended(stalled.ask_for(stalled.host.url.replace("weights.pth", "films/dog.mp4?size=2")))
    assert job["state"] == "done" and job["name"] == "dog.mp4"
    assert stalled.host.paths[-1] == "/films/dog.mp4?size=2"
