"""The web application, and the server that runs it."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path

import uvicorn
from fastapi import FastAPI

from save_avs import __version__
from save_avs.errors import SaveAvsError, UsageError
from save_avs.serving.api import make_routes
from save_avs.serving.auth import AccessToken, AuthMiddleware, is_local_name
from save_avs.serving.config import WorkerConfig
from save_avs.serving.errors import add_error_handlers
from save_avs.serving.service import Service
from save_avs.serving.web_ui import add_web_ui

_DESCRIPTION = (
    "Find and mask the sounding objects in videos. Upload a video to `/v1/segment`, follow the job it "
    "becomes, and read its result files. Anyone who knows the id of a job may see, cancel and delete it; "
    "nobody can list jobs."
)


def make_app(service: Service, *, token: AccessToken | None = None, page: bool = True) -> FastAPI:
    """Make the application of a service.

    Args:
        service: started, so that its models are known.
        token: required of every client; None for no authentication.
        page: serve the web page too.
    """
    app = FastAPI(
        title="save-avs", version=__version__, description=_DESCRIPTION, docs_url=None, redoc_url=None
    )
    app.state.service = service
    add_error_handlers(app)
    # Flat, not an included router: the methods allowed on a path are collected from these routes.
    app.router.routes.extend(make_routes(service))
    add_web_ui(app, token=token, page=page)
    app.add_middleware(AuthMiddleware, token=token, root=service.store.root, min_free=service.limits.size)
    return app


def serve(
    root: Path,
    config: WorkerConfig,
    *,
    host: str,
    port: int,
    token: AccessToken | None,
    page: bool,
    on_ready: Callable[[str], None],
) -> None:
    """Serve until a signal comes.

    Args:
        root: the data folder.
        config: of the workers.
        host: address to listen on.
        port: of the host; 0 for any that is free.
        token: required of every client.
        page: serve the web page too.
        on_ready: called with the server's URL when the models are loaded.

    Raises:
        UsageError: no token for a host that others reach, a folder in use, or wrong models.
        SaveAvsError: the port is taken.
    """
    netloc = f"[{host}]" if ":" in host else host
    if token is None and not is_local_name(netloc):
        raise UsageError(f"--host {host} is reachable from the network; set --token or SAVE_AVS_TOKEN.")
    with _listen(host, port) as listener:
        service = Service(root, config)
        try:
            service.start()
            app = make_app(service, token=token, page=page)
            server = uvicorn.Config(
                app, log_level="warning", timeout_graceful_shutdown=5, server_header=False
            )
            on_ready(f"http://{netloc}:{listener.getsockname()[1]}/")
            uvicorn.Server(server).run(sockets=[listener])
        finally:
            service.close()


def _listen(host: str, port: int) -> socket.socket:
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        raise SaveAvsError(f"Cannot listen on {host}:{port}: {error.strerror or error}.") from error
