"""`save-avs serve`: the web page and the REST service."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from save_avs.cli._console import print_line
from save_avs.cli._options import Device, Precision, Runtime

DEFAULT_DIRECTORY = Path("runs/serve")

EXAMPLES = """Examples:

\b
  save-avs serve
  save-avs serve --model save-tiny --model runs/s4/model --workers 2
  SAVE_AVS_TOKEN=$(openssl rand -hex 24) save-avs serve --host 0.0.0.0
  save-avs serve --no-page --max-size 100 --max-duration 60 --keep 1
  curl -F file=@clip.mp4 http://127.0.0.1:7860/v1/segment

\b
The page is at /, the description of the REST service at /openapi.json.
"""


def serve(  # noqa: PLR0913, PLR0917, a command's options
    host: Annotated[
        str, typer.Option("--host", help="Where to listen; others than this machine need a token.")
    ] = ("127.0.0.1"),
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="0: any that is free.")] = 7860,
    model: Annotated[
        list[str] | None,
        typer.Option("--model", metavar="NAME|PATH", show_default="save-tiny", help="Once for each model."),
    ] = None,
    token: Annotated[
        str | None,
        typer.Option("--token", envvar="SAVE_AVS_TOKEN", help="What everybody must bring to use the server."),
    ] = None,
    page: Annotated[
        bool, typer.Option("--page/--no-page", help="The web page beside the REST service.")
    ] = True,
    data: Annotated[Path, typer.Option("--data", metavar="DIR", help="Where jobs lie.")] = DEFAULT_DIRECTORY,
    allow_url: Annotated[
        list[str] | None,
        typer.Option(
            "--allow-url",
            metavar="HOST[:PORT]",
            show_default="none",
            help="A host that videos may be fetched from; once for each.",
        ),
    ] = None,
    max_size: Annotated[float, typer.Option("--max-size", metavar="MB", help="Of a video.")] = 500,
    max_duration: Annotated[float, typer.Option("--max-duration", metavar="S", help="Of a video.")] = 600,
    max_side: Annotated[
        int, typer.Option("--max-side", metavar="PX", help="Of a video's longer side.")
    ] = 3840,
    max_time: Annotated[
        float, typer.Option("--max-time", metavar="S", help="That an upload, and then a job, may take.")
    ] = 3600,
    max_memory: Annotated[
        float, typer.Option("--max-memory", metavar="MB", help="That a worker may hold, models included.")
    ] = 8000,
    queue: Annotated[int, typer.Option("--queue", help="Jobs that may wait.")] = 64,
    workers: Annotated[int, typer.Option("--workers", help="Jobs that run at once, a process each.")] = 1,
    keep: Annotated[
        float, typer.Option("--keep", metavar="HOURS", help="A finished job stays so long.")
    ] = 24,
    device: Device = "auto",
    precision: Precision = "auto",
    runtime: Runtime = "auto",
) -> int:
    """Serve a web page and a REST service that segment videos."""
    from save_avs.serving.app import serve as run_server
    from save_avs.serving.auth import AccessToken
    from save_avs.serving.config import ServiceLimits, WorkerConfig
    from save_avs.serving.url_fetch import parse_allowed_host

    limits = ServiceLimits(
        size=round(max_size * 1e6),
        duration=max_duration,
        side=max_side,
        time=max_time,
        memory=round(max_memory * 1e6),
        queue=queue,
        workers=workers,
        keep=keep * 3600,
    )
    config = WorkerConfig(
        models=tuple(model or ["save-tiny"]),
        device=device,
        precision=precision,
        runtime=runtime,
        limits=limits,
        hosts=tuple(parse_allowed_host(name) for name in allow_url or []),
    )
    run_server(
        data,
        config,
        host=host,
        port=port,
        token=AccessToken(token) if token else None,
        page=page,
        on_ready=lambda url: print_line(f"{'page' if page else 'service'} at {url}", err=True),
    )
    return 0
