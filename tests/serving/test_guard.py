"""Who may come in: tokens, cookies, foreign names and foreign pages."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from starlette.responses import PlainTextResponse
from starlette.testclient import TestClient

from save_avs.errors import UsageError
from save_avs.serving.auth import COOKIE, AuthMiddleware, Token, is_local_name
from save_avs.serving.login import make_login
from tests.support.service import idling

SECRET = "correct-horse-battery-staple"


def guarded(tmp_path: Path, secret: str | None, **how: str) -> TestClient:
    token = Token(secret) if secret else None
    app = FastAPI(openapi_url=None)
    if token is not None:
        app.include_router(make_login(token))

    @app.api_route("/{rest:path}", methods=["GET", "POST", "DELETE"])
    def through() -> PlainTextResponse:
        return PlainTextResponse("in")

    app.add_middleware(AuthMiddleware, token=token, root=tmp_path, room=1)
    return TestClient(app, base_url=how.get("at", "http://localhost:7860"), follow_redirects=False)


@pytest.mark.parametrize(
    "path", ["/", "/v1/models", "/v1/jobs/1", "/metrics", "/openapi.json", "/config", "//healthz"]
)
def test_everything_asks_for_the_token(path, tmp_path):
    client = guarded(tmp_path, SECRET, at="https://masks.example.org")
    for header in (
        {},
        {"Authorization": f"Bearer {SECRET}x"},
        {"Authorization": "Bearer"},
        {"Authorization": SECRET},
    ):
        answer = client.get(path, headers=header)
        assert answer.status_code == 401 and answer.headers["WWW-Authenticate"] == "Bearer"
        assert answer.json()["error"]["code"] == "no_token"
    assert client.post(path, headers={"Cookie": f"{COOKIE}={SECRET}"}).status_code == 401
    assert client.get(path, headers={"Authorization": f"bearer {SECRET}"}).text == "in"


def test_probes_need_no_token(tmp_path):
    client = guarded(tmp_path, SECRET)
    assert client.get("/healthz").text == client.get("/readyz").text == "in"


def test_a_browser_logs_in_once(tmp_path):
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


@pytest.mark.parametrize("host", ["localhost:7860", "127.0.0.1:7860", "[::1]:7860", "LOCALHOST"])
def test_local_names_are(host, tmp_path):
    assert guarded(tmp_path, None).get("/", headers={"Host": host}).text == "in"


def test_pages_of_other_sites_can_send_nothing(tmp_path):
    client = guarded(tmp_path, None)
    for origin in ("https://evil.example", "http://localhost:9999", "null"):
        for method in ("POST", "DELETE"):
            answer = client.request(method, "/v1/segment", headers={"Origin": origin})
            assert answer.status_code == 403 and answer.json()["error"]["code"] == "foreign_page"
    assert client.post("/v1/segment", headers={"Origin": "http://localhost:7860"}).text == "in"
    assert client.post("/v1/segment").text == "in"  # programs send no origin


def test_every_answer_is_held_together(tmp_path):
    for answer in (guarded(tmp_path, None).get("/"), guarded(tmp_path, SECRET).get("/")):
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Content-Security-Policy"].startswith("default-src 'self'")


@pytest.mark.parametrize(
    "text", ["short", "fifteen letters", "sixteen letters!", "x" * 15, "sixteenlettersé!"]
)
def test_tokens_that_are_easily_guessed_are_refused(text):
    with pytest.raises(UsageError, match="openssl rand"):
        Token(text)


def test_local_names():
    assert all(map(is_local_name, ("127.0.0.1", "127.8.8.8", "localhost", "[::1]", "a.localhost")))
    assert not any(map(is_local_name, ("0.0.0.0", "[::]", "", "192.168.1.2", "example.org", "[", "1")))


def test_a_whole_service_behind_a_token(tmp_path, video):
    with idling(tmp_path, token=SECRET) as own:
        assert own.client.get("/v1/models").status_code == own.send(video).status_code == 401
        assert own.client.get("/readyz").status_code == 200
        own.client.headers["Authorization"] = f"Bearer {SECRET}"
        id = own.accepted(video)
        assert own.job(id)["name"] == "clip.mp4"
        assert httpx.get(f"{own.url}/v1/jobs/{id}").status_code == 401
