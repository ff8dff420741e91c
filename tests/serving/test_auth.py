"""Authentication: tokens, cookies, host names, origins, and the size of bodies."""

from __future__ import annotations

import shutil
from collections import namedtuple
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from starlette.responses import PlainTextResponse
from starlette.testclient import TestClient

from save_avs.errors import UsageError
from save_avs.serving.auth import COOKIE, MAX_BODY, AccessToken, AuthMiddleware, is_local_name
from save_avs.serving.server import add_web_ui
from tests.support.service import idle_service

SECRET = "correct-horse-battery-staple"


def guarded(tmp_path: Path, secret: str | None, at: str = "http://localhost:7860") -> TestClient:
    token = AccessToken(secret) if secret else None
    app = FastAPI(openapi_url=None)
    add_web_ui(app, token=token, page=False)

    @app.api_route("/{rest:path}", methods=["GET", "POST", "DELETE"])
    def through() -> PlainTextResponse:
        return PlainTextResponse("in")

    app.add_middleware(AuthMiddleware, token=token, root=tmp_path, min_free=1)
    return TestClient(app, base_url=at, follow_redirects=False)


@pytest.mark.parametrize(
    "path", ["/", "/v1/models", "/v1/jobs/1", "/metrics", "/openapi.json", "/config", "//healthz"]
)
@pytest.mark.parametrize(
    "header",
    [
        {},
        {"Authorization": f"Bearer {SECRET}x"},
        {"Authorization": "Bearer"},
        {"Authorization": SECRET},
    ],
    ids=["no header", "wrong token", "no token", "no scheme"],
)
def test_every_route_requires_the_token(path, header, tmp_path):
    client = guarded(tmp_path, SECRET, at="https://masks.example.org")
    answer = client.get(path, headers=header)
    assert answer.status_code == 401 and answer.headers["WWW-Authenticate"] == "Bearer"
    assert answer.json()["error"]["code"] == "no_token"
    assert client.post(path, headers={"Cookie": f"{COOKIE}={SECRET}"}).status_code == 401
    assert client.get(path, headers={"Authorization": f"bearer {SECRET}"}).text == "in"


def test_probes_and_static_files_need_no_token(tmp_path):
    client = guarded(tmp_path, SECRET)
    assert client.get("/healthz").text == client.get("/readyz").text == "in"
    assert client.get("/static/style.css").status_code == 200


def test_the_login_form_sets_a_cookie(tmp_path):
    client = guarded(tmp_path, SECRET, at="https://masks.example.org")
    sent_on = client.get("/", headers={"Accept": "text/html,*/*"})
    assert sent_on.status_code == 303 and sent_on.headers["Location"] == "/login"
    assert "<form" in client.get("/login").text
    wrong = client.post("/login", data={"token": "wrong"})
    assert wrong.status_code == 401 and "set-cookie" not in wrong.headers
    right = client.post("/login", data={"token": SECRET})
    assert right.status_code == 303
    cookie = right.headers["set-cookie"]
    assert SECRET not in cookie
    assert all(word in cookie for word in ("HttpOnly", "SameSite=strict", "Secure"))
    assert client.get("/", headers={"Accept": "text/html"}).text == "in"


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example", "10.0.0.1", ""]
)
def test_without_a_token_only_local_names_are_answered(host, tmp_path):
    client = guarded(tmp_path, None)
    answer = client.get("/v1/models", headers={"Host": host})
    assert answer.status_code == 403 and answer.json()["error"]["code"] == "foreign_host"


HOSTS = ["a b", "localhost/x", "u@localhost", "[", "localhost:x", "a, b", "[::1]x"]
ORIGINS = ["", "http://[", "localhost", "http://a b", "http://a/path", "http://u@a"]


@pytest.mark.parametrize(
    ("name", "value"), [*(("Host", host) for host in HOSTS), *(("Origin", origin) for origin in ORIGINS)]
)
def test_a_malformed_host_or_origin_is_refused(name, value, tmp_path):
    answer = guarded(tmp_path, SECRET).post("/v1/segment", headers={name: value})
    assert answer.status_code == 400 and answer.json()["error"]["code"] == "bad_request"
    assert name in answer.json()["error"]["message"]


@pytest.mark.parametrize("host", ["localhost:7860", "127.0.0.1:7860", "[::1]:7860", "LOCALHOST"])
def test_loopback_names_are_accepted_without_a_token(host, tmp_path):
    assert guarded(tmp_path, None).get("/", headers={"Host": host}).text == "in"


@pytest.mark.parametrize("method", ["POST", "DELETE"])
@pytest.mark.parametrize("origin", ["https://evil.example", "http://localhost:9999", "null"])
def test_a_request_with_a_foreign_origin_is_refused(origin, method, tmp_path):
    answer = guarded(tmp_path, None).request(method, "/v1/segment", headers={"Origin": origin})
    assert answer.status_code == 403 and answer.json()["error"]["code"] == "foreign_page"


def test_a_request_with_its_own_origin_or_none_is_accepted(tmp_path):
    client = guarded(tmp_path, None)
    assert client.post("/v1/segment", headers={"Origin": "http://localhost:7860"}).text == "in"
    assert client.post("/v1/segment").text == "in"  # programs send no origin


@pytest.mark.parametrize("secret", [None, SECRET], ids=["accepted", "refused"])
def test_every_answer_has_security_headers(secret, tmp_path):
    headers = guarded(tmp_path, secret).get("/").headers
    assert headers["X-Content-Type-Options"] == "nosniff" and headers["X-Frame-Options"] == "DENY"
    policy = headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'")
    assert "unsafe" not in policy and "*" not in policy


@pytest.mark.parametrize("path", ["/login", "/v1/jobs/1/cancel", "/v1/jobs/1"])
def test_a_body_larger_than_a_form_needs_is_refused_unread(path, tmp_path):
    client = guarded(tmp_path, None)
    assert client.post(path, content=b"x" * MAX_BODY).text == "in"
    answer = client.post(path, content=b"x" * (MAX_BODY + 1))
    assert answer.status_code == 413 and answer.json()["error"]["code"] == "too_large"
    pieces = client.post(path, content=iter([b"x"] * 9))  # chunked: no length is known
    assert pieces.status_code == 413
    assert client.post("/v1/segment", content=iter([b"x"] * MAX_BODY)).text == "in"


def test_a_full_disk_refuses_uploads_alone(tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10, 10, 0))
    client = guarded(tmp_path, None)
    answer = client.post("/v1/segment")
    assert answer.status_code == 507 and answer.json()["error"]["code"] == "disk_full"
    assert client.delete("/v1/jobs/1").text == client.post("/v1/jobs/1/cancel").text == "in"


@pytest.mark.parametrize(
    "text", ["short", "fifteen letters", "sixteen letters!", "x" * 15, "sixteenlettersé!"]
)
def test_a_token_that_is_easily_guessed_is_refused(text):
    with pytest.raises(UsageError, match="openssl rand"):
        AccessToken(text)


def test_local_names():
    assert all(map(is_local_name, ("127.0.0.1", "127.8.8.8", "localhost", "[::1]", "a.localhost")))
    assert not any(map(is_local_name, ("0.0.0.0", "[::]", "", "192.168.1.2", "example.org", "[", "1")))


def test_a_service_behind_a_token(tmp_path, video):
    with idle_service(tmp_path, token=SECRET) as own:
        assert own.client.get("/v1/models").status_code == own.send(video).status_code == 401
        assert own.client.get("/readyz").status_code == 200
        own.client.headers["Authorization"] = f"Bearer {SECRET}"
        id = own.accepted(video)
        assert own.job(id)["name"] == "clip.mp4"
        assert httpx.get(f"{own.url}/v1/jobs/{id}").status_code == 401
