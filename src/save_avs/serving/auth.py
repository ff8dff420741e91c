"""Who may come in: every request passes here before any of it is read."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import shutil
from http.cookies import CookieError, SimpleCookie
from pathlib import Path
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from save_avs.errors import UsageError

LOGIN = "/login"
COOKIE = "save_avs"
_OPEN = {LOGIN, "/healthz", "/readyz"}  # for everybody; the page's own files are no secret either
STATIC = "/static-save-avs/"
_SHORTEST = 16  # characters of a token
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "SAMEORIGIN",
    # Nothing is asked of other servers: not by the page, nor by anything that slipped into it.
    "Content-Security-Policy": "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:",
    "Referrer-Policy": "same-origin",  # addresses hold the ids of jobs
}


class Token:
    """The secret of a server; compared in a time that does not tell how much of it was right.

    Raises:
        UsageError: it is too easy to guess.
    """

    def __init__(self, text: str) -> None:
        if len(text) < _SHORTEST or not text.isascii() or not text.isprintable() or " " in text:
            raise UsageError(
                f"the token must be {_SHORTEST} or more printable characters without blanks; "
                "make one with: openssl rand -hex 24"
            )
        self._text = text
        # What a browser keeps: worth as much here, and of no use to find the token itself.
        self.cookie = hmac.new(text.encode(), b"save-avs page", hashlib.sha256).hexdigest()

    def opens(self, text: str) -> bool:
        """Whether this is the token."""
        return hmac.compare_digest(text.encode("utf-8", "replace"), self._text.encode())

    def admits(self, headers: Headers) -> bool:
        """Whether a request brings the token, or the cookie that stands for it."""
        kind, _, given = headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer":
            return self.opens(given.strip())
        try:
            morsel = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
        except CookieError:
            return False
        return morsel is not None and hmac.compare_digest(morsel.value.encode(), self.cookie.encode())


class AuthMiddleware:
    """ASGI middleware: the token, requests of foreign pages, room on disk, headers of every answer.

    Args:
        app: what is guarded.
        token: None where everybody who reaches the server may use it.
        root: the data folder.
        room: bytes that must be free there for anything to be sent in.
    """

    def __init__(self, app: ASGIApp, *, token: Token | None, root: Path, room: int) -> None:
        self._app, self._token, self._root, self._room = app, token, root, room

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or answer it."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":  # web sockets: nothing here speaks them
            await send({"type": "websocket.close"})
            return
        headers = Headers(scope=scope)
        answer = self._stranger(scope["method"], scope["path"], headers)
        if answer is None and scope["method"] not in ("GET", "HEAD", "OPTIONS"):
            answer = self._sender(headers)
        await (answer or self._app)(scope, receive, _with_headers(send))

    def _stranger(self, method: str, path: str, headers: Headers) -> Response | None:
        """What somebody hears who may not come in."""
        if self._token is None:
            if is_local_name(headers.get("host", "")):
                return None
            # A foreign site whose name leads to this machine (DNS rebinding) could read all answers.
            return refusal(403, "foreign_host", "without a token this server answers only as localhost")
        if path in _OPEN or path.startswith(STATIC) or self._token.admits(headers):
            return None
        if method == "GET" and "text/html" in headers.get("accept", ""):
            return RedirectResponse(LOGIN, status_code=303)
        answer = refusal(401, "no_token", "send the token: Authorization: Bearer TOKEN")
        answer.headers["WWW-Authenticate"] = "Bearer"
        return answer

    def _sender(self, headers: Headers) -> Response | None:
        """What somebody hears who may come in, but may not send anything."""
        if _is_foreign(headers):
            return refusal(403, "foreign_page", "sent by a page of another site")
        if shutil.disk_usage(self._root).free < self._room:
            return refusal(507, "disk_full", "this server's disk is nearly full; try again later")
        return None


def refusal(status: int, code: str, message: str) -> Response:
    """An answer that says what is wrong, as every error of the service does."""
    return JSONResponse({"error": {"code": code, "message": message}}, status)


def _is_foreign(headers: Headers) -> bool:
    """Whether a browser says that a page of another origin sends this."""
    origin = headers.get("origin")
    return origin is not None and urlsplit(origin).netloc != headers.get("host")


def is_local_name(host: str) -> bool:
    """Whether a host, with or without its port, is this machine itself by any of its loopback names."""
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return False
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name == "localhost" or name.endswith(".localhost")


def _with_headers(send: Send) -> Send:
    async def headed(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in _HEADERS.items():
                headers.setdefault(name, value)
        await send(message)

    return headed
