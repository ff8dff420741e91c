"""Authentication and limits of every request, checked before any of it is read."""

import hashlib
import hmac
import ipaddress
import re
import shutil
from http import HTTPStatus
from pathlib import Path
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import HTTPConnection
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from save_avs.errors import UsageError
from save_avs.serving.errors import error_response

LOGIN, STATIC, SEGMENT, PROMPT = "/login", "/static/", "/v1/segment", "/v1/prompt"
COOKIE = "save_avs"
MAX_BODY = 8192  # bytes of any request but an upload
_PUBLIC = {LOGIN, "/healthz", "/readyz"}  # without a token, as the page's static files
_AUTHORITY = r"(?:[A-Za-z0-9._~-]{1,255}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?"
_HOST = re.compile(f"(?:{_AUTHORITY})?")
_ORIGIN = re.compile(f"null|[A-Za-z][A-Za-z0-9+.-]{{0,31}}://{_AUTHORITY}")
_MIN_TOKEN = 16  # characters
_HEADERS = {
    "Cache-Control": "no-cache",  # after an update no browser runs an old script
    # No foreign requests and no inline code, whatever slips into the page; blob: is the chosen file.
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
        "media-src 'self' blob:; connect-src 'self'; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), microphone=(self), geolocation=()",
    "Referrer-Policy": "same-origin",  # URLs contain the ids of jobs
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


class AccessToken:
    """The secret of a server, compared in constant time.

    Raises:
        UsageError: it is too easy to guess, or not printable ASCII.
    """

    def __init__(self, text: str) -> None:
        if len(text) < _MIN_TOKEN or not text.isascii() or not text.isprintable() or " " in text:
            raise UsageError(
                f"Invalid token: it must have at least {_MIN_TOKEN} printable ASCII characters, no spaces. "
                "Generate one with: openssl rand -hex 24"
            )
        self._text = text
        # The browser keeps this in place of the token, which cannot be computed from it.
        self.cookie = hmac.new(text.encode(), b"save-avs page", hashlib.sha256).hexdigest()

    def verify(self, text: str) -> bool:
        """Return whether a text is the token."""
        return hmac.compare_digest(text.encode("utf-8", "replace"), self._text.encode())

    def authorizes(self, request: HTTPConnection) -> bool:
        """Return whether a request has the token, or the cookie in its place."""
        scheme, _, value = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            return self.verify(value.strip())
        return hmac.compare_digest(request.cookies.get(COOKIE, "").encode(), self.cookie.encode())


class AuthMiddleware:
    """ASGI middleware: token, origin, body size, free disk space, and headers of every answer.

    Without a token, everybody who reaches the server may use it. For an upload, ``min_free`` bytes must be
    free on the disk of ``root``.
    """

    def __init__(self, app: ASGIApp, *, token: AccessToken | None, root: Path, min_free: int) -> None:
        self._app, self._token, self._root, self._min_free = app, token, root, min_free

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":  # no web sockets here
            await send({"type": "websocket.close"})
            return
        request = HTTPConnection(scope)
        headers = request.headers
        refusal = _check_syntax(headers) or self._check_auth(scope["method"], scope["path"], request)
        if refusal is None and scope["method"] not in ("GET", "HEAD", "OPTIONS"):
            refusal = self._check_body(scope["path"], headers)
        await (refusal or self._app)(scope, receive, _with_headers(send))

    def _check_auth(self, method: str, path: str, request: HTTPConnection) -> Response | None:
        if self._token is None:
            if is_local_name(request.headers.get("host", "")):
                return None
            # A foreign site whose name resolves to this machine (DNS rebinding) could read all answers.
            return error_response(
                403, "foreign_host", "Without a token this server answers only as localhost."
            )
        if path in _PUBLIC or path.startswith(STATIC) or self._token.authorizes(request):
            return None
        if method == "GET" and "text/html" in request.headers.get("accept", ""):
            return RedirectResponse(LOGIN, status_code=303)
        response = error_response(401, "no_token", "Send the token: Authorization: Bearer TOKEN")
        response.headers["WWW-Authenticate"] = "Bearer"
        return response

    def _check_body(self, path: str, headers: Headers) -> Response | None:
        origin = headers.get("origin")  # which browsers name
        if origin is not None and urlsplit(origin).netloc != headers.get("host"):
            return error_response(403, "foreign_page", "Sent by a page of another site.")
        if path not in (SEGMENT, PROMPT):
            length = headers.get("content-length", "0")
            if "transfer-encoding" in headers or not length.isdecimal() or int(length) > MAX_BODY:
                text = f"The body must have a Content-Length of at most {MAX_BODY} bytes."
                return error_response(413, "too_large", text)
        elif shutil.disk_usage(self._root).free < self._min_free:
            return error_response(507, "disk_full", "This server's disk is nearly full: try again later.")
        return None


def _check_syntax(headers: Headers) -> Response | None:
    """Refuse a host or an origin that is none; a missing host is left to the check of names."""
    hosts, origins = headers.getlist("host"), headers.getlist("origin")
    if len(hosts) > 1 or not all(_HOST.fullmatch(host) for host in hosts):
        return error_response(
            400, "bad_request", "The header Host is malformed: send one host name, with or without port."
        )
    if len(origins) > 1 or not all(_ORIGIN.fullmatch(origin) for origin in origins):
        return error_response(
            400, "bad_request", "The header Origin is malformed: send scheme://host:port, or null."
        )
    return None


def is_local_name(host: str) -> bool:
    """Return whether a host, with or without port, is a loopback name or address of this machine."""
    try:
        name = urlsplit(f"//{host}").hostname or ""
        return f".{name}".endswith(".localhost") or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _with_headers(send: Send) -> Send:
    """Add the headers of every answer, and make an error in plain text (of byte ranges) one in JSON."""
    held: Message | None = None

    async def send_with_headers(message: Message) -> None:
        nonlocal held
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in _HEADERS.items():
                headers.setdefault(name, value)
            if message["status"] >= 400 and headers.get("content-type", "").startswith("text/plain"):
                held = message
                return
        elif held is not None:
            start, held = held, None
            text = message.get("body", b"").decode() or HTTPStatus(start["status"]).phrase
            response = error_response(start["status"], "bad_request", text)
            headers = MutableHeaders(scope=start)
            headers.update(response.headers)
            await send(start)
            message = {**message, "body": response.body}
        await send(message)

    return send_with_headers
