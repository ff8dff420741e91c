"""Listening: a service and its application, from start to end."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path

from save_avs.errors import SaveAvsError, UsageError
from save_avs.serving.auth import Token, is_local_name
from save_avs.serving.worker import WorkerConfig


def serve(
    root: Path,
    equipment: WorkerConfig,
    *,
    host: str,
    port: int,
    token: Token | None,
    page: bool,
    announce: Callable[[str], None],
) -> None:
    """Serve until a signal comes.

    Args:
        root: the data folder.
        equipment: of the workers.
        host: to listen at.
        port: of the host; 0 for any that is free.
        token: asked of everybody.
        page: have the web page too.
        announce: told the server's address, once it answers there.

    Raises:
        UsageError: no token for a host that others reach, or the folder is in use, or wrong models.
        SaveAvsError: the port is taken.
    """
    import uvicorn

    from save_avs.serving.app import make_app
    from save_avs.serving.service import Service

    if token is None and not is_local_name(f"[{host}]" if ":" in host else host):
        raise UsageError(f"--host {host} lets others in: give a token with --token or SAVE_AVS_TOKEN")
    with _listening(host, port) as listening:
        service = Service(root, equipment)
        try:
            service.start()
            app = make_app(service, token=token, page=page)
            config = uvicorn.Config(
                app, log_level="warning", timeout_graceful_shutdown=5, server_header=False
            )
            at = f"[{host}]" if ":" in host else host
            announce(f"http://{at}:{listening.getsockname()[1]}/")
            uvicorn.Server(config).run(sockets=[listening])
        finally:
            service.close()


def _listening(host: str, port: int) -> socket.socket:
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        raise SaveAvsError(f"cannot listen at {host}:{port}: {error.strerror or error}") from error
