"""The web application with its page and login form, and the server that runs it."""

import json
import socket
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import h11
import uvicorn
from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import FileResponse, HTMLResponse, RedirectResponse, Response
from fastapi.staticfiles import StaticFiles
from uvicorn.protocols.http.h11_impl import H11Protocol

from save_avs import __version__
from save_avs._extras import models_folder
from save_avs.errors import SaveAvsError, UsageError
from save_avs.serving.api import make_routes
from save_avs.serving.auth import COOKIE, LOGIN, STATIC, AccessToken, AuthMiddleware, is_local_name
from save_avs.serving.config import WorkerConfig
from save_avs.serving.errors import add_error_handlers, error_content
from save_avs.serving.logs import log, use_json
from save_avs.serving.service import Service

_FILES = Path(__file__).with_name("static")
_DESCRIPTION = (
    "Find and mask the sounding objects in videos. Upload a video to `/v1/segment`, follow the job it "
    "becomes, and read its result files. Anyone who knows the id of a job may see, cancel and delete it; "
    "nobody can list jobs."
)


def _send_bundled(name: str) -> FileResponse:
    return FileResponse(models_folder() / name)


def make_app(service: Service, *, token: AccessToken | None = None, page: bool = True) -> FastAPI:
    """Make the application of a started service; without a token there is no authentication."""
    app = FastAPI(
        title="save-avs", version=__version__, description=_DESCRIPTION, docs_url=None, redoc_url=None
    )
    app.state.service = service
    add_error_handlers(app)
    # Flat, not an included router: the methods allowed on a path are collected from these routes.
    app.router.routes.extend(make_routes(service))
    add_web_ui(app, token=token, page=page)
    app.add_middleware(AuthMiddleware, token=token, root=service.files.root, min_free=service.limits.size)
    return app


def serve(
    root: Path,
    config: WorkerConfig,
    *,
    host: str,
    port: int,
    token: AccessToken | None,
    page: bool,
    database: str | None,
    on_ready: Callable[[str], object],
) -> None:
    """Serve an application (see ``make_app``) until a signal comes.

    Port 0 is any that is free; ``on_ready`` is called with the server's URL when the models are loaded.

    Raises:
        UsageError: no token for a host that others reach, no access to the database, or wrong models.
        SaveAvsError: the port is taken.
    """
    netloc = f"[{host}]" if ":" in host else host
    if token is None and not is_local_name(netloc):
        raise UsageError(f"--host {host} is reachable from the network; set --token or SAVE_AVS_TOKEN.")
    with _listen(host, port) as listener:
        if config.json_logs:
            use_json()
        service = Service(root, config, database=database)
        try:
            service.start()
            app = make_app(service, token=token, page=page)
            url = f"http://{netloc}:{listener.getsockname()[1]}/"
            log.info("ready", extra={"url": url})
            on_ready(url)
            uvicorn.Server(server_config(app, json_logs=config.json_logs)).run(sockets=[listener])
        finally:
            service.close()


def server_config(app: FastAPI, *, json_logs: bool = False) -> uvicorn.Config:
    """How uvicorn runs an application."""
    logs: dict[str, Any] = {"log_config": None} if json_logs else {"log_level": "warning"}
    return uvicorn.Config(
        app,
        http=_Protocol,
        ws="none",
        access_log=False,
        timeout_graceful_shutdown=5,
        timeout_keep_alive=75,  # seconds: longer than proxies reuse a connection
        server_header=False,
        **logs,
    )


class _Protocol(H11Protocol):
    """HTTP by h11, which limits the size of headers; what it cannot parse is answered like every error."""

    def send_400_response(self, msg: str) -> None:
        """Refuse a malformed request, and hang up."""
        if self.cycle is not None:  # of a request whose body is malformed: its answer goes nowhere
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            body = json.dumps(error_content("bad_request", "The request is malformed.")).encode()
            head = "HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\nConnection: close\r\n"
            self.transport.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        self.transport.close()


def _listen(host: str, port: int) -> socket.socket:
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        raise SaveAvsError(f"Cannot listen on {host}:{port}: {error.strerror or error}.") from error


def add_web_ui(app: FastAPI, *, token: AccessToken | None, page: bool) -> None:
    """Add the page at ``/`` unless ``page`` is off, and the login form if there is a token."""
    routes = APIRouter(include_in_schema=False)
    if page:
        routes.add_api_route("/", lambda: FileResponse(_FILES / "index.html"), methods=["GET"])
        for name in ("sample.mp4", "example.jpg"):
            routes.add_api_route(f"{STATIC}{name}", partial(_send_bundled, name), methods=["GET"])
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
