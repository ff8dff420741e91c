"""The web page and the login form, as static files."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from urllib.parse import parse_qs

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import FileResponse, HTMLResponse, RedirectResponse, Response
from fastapi.staticfiles import StaticFiles

from save_avs.serving.auth import COOKIE, LOGIN, STATIC, AccessToken

_FILES = Path(__file__).with_name("static")
_SAMPLE = Path(str(resources.files("save_avs"))) / "bundled" / "sample.mp4"


def add_web_ui(app: FastAPI, *, token: AccessToken | None, page: bool) -> None:
    """Add the page at ``/`` unless ``page`` is off, and the login form if there is a token."""
    routes = APIRouter(include_in_schema=False)
    if page:
        routes.add_api_route("/", lambda: FileResponse(_FILES / "index.html"), methods=["GET"])
        routes.add_api_route(f"{STATIC}sample.mp4", lambda: FileResponse(_SAMPLE), methods=["GET"])
    if token is not None:
        _add_login(routes, token)
    app.router.routes.extend(routes.routes)
    app.mount(STATIC.rstrip("/"), StaticFiles(directory=_FILES))


def _add_login(routes: APIRouter, token: AccessToken) -> None:
    """Add the form that trades the token for a cookie, which the browser drops when it is closed."""

    @routes.get(LOGIN)
    def show_form() -> Response:
        return _login_form("This server requires the token it was started with.")

    @routes.post(LOGIN)
    async def log_in(request: Request) -> Response:
        # The body is small: AuthMiddleware checks the length of every request but uploads.
        fields = parse_qs((await request.body()).decode("utf-8", "replace"))
        if not token.verify(fields.get("token", [""])[0]):
            return _login_form("Wrong token: try again.", status=401)
        response = RedirectResponse("/", status_code=303)
        secure = request.url.scheme == "https"
        response.set_cookie(COOKIE, token.cookie, httponly=True, samesite="strict", secure=secure)
        return response


def _login_form(message: str, status: int = 200) -> Response:
    template = (_FILES / "login.html").read_text(encoding="utf-8")
    return HTMLResponse(template.replace("{message}", message), status)
