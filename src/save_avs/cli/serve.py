"""`save-avs serve`: the web page and the REST service."""

from pathlib import Path
from typing import Annotated

from typer import Option

from save_avs.cli._console import print_line
from save_avs.cli._options import Device, Precision, Runtime, complete_models


def serve(
    host: Annotated[
        str, Option(help="Address to listen on; all but this machine's require a token.")
    ] = "127.0.0.1",
    port: Annotated[int, Option(min=0, max=65535, help="Port to listen on; 0 takes a free one.")] = 7860,
    model: Annotated[
        list[str] | None,
        Option(
            metavar="NAME|PATH",
            show_default="save-small",
            help="Model to serve; repeatable.",
            autocompletion=complete_models,
        ),
    ] = None,
    prompt_model: Annotated[
        str | None,
        Option(metavar="NAME|PATH", show_default="none", help="SAM that answers prompts on images."),
    ] = None,
    token: Annotated[str | None, Option(envvar="SAVE_AVS_TOKEN", help="Token clients must send.")] = None,
    page: Annotated[
        bool, Option("--page/--no-page", help="Serve the web page too, or only the REST service.")
    ] = True,
    data: Annotated[Path, Option(metavar="DIR", help="Directory for job data.")] = Path("runs/serve"),
    database: Annotated[
        str | None,
        Option(
            envvar="SAVE_AVS_DATABASE",
            metavar="URL",
            show_default="jobs.sqlite in --data",
            help="PostgreSQL database of the jobs, for servers on several machines.",
        ),
    ] = None,
    allow_url: Annotated[
        list[str] | None,
        Option(
            metavar="HOST[:PORT]",
            show_default="none",
            help="Host that videos may be fetched from; repeatable.",
        ),
    ] = None,
    max_size: Annotated[float, Option(metavar="MB", help="Size limit for a video.")] = 500,
    max_duration: Annotated[float, Option(metavar="S", help="Duration limit for a video (seconds).")] = 600,
    max_side: Annotated[int, Option(metavar="PX", help="Limit for the longer side of a video.")] = 3840,
    max_time: Annotated[
        float, Option(metavar="S", help="Time limit for an upload, and for a job (seconds).")
    ] = 3600,
    max_memory: Annotated[
        float, Option(metavar="MB", help="Memory limit for a worker with its models.")
    ] = 8000,
    queue: Annotated[int, Option(help="Number of jobs that may wait.")] = 64,
    workers: Annotated[int, Option(help="Number of worker processes.")] = 1,
    keep: Annotated[float, Option(metavar="HOURS", help="Time for which a finished job is kept.")] = 24,
    lease: Annotated[
        float, Option(metavar="S", help="Silence after which a server's jobs go to others (seconds).")
    ] = 30,
    json_logs: Annotated[bool, Option("--json-logs", help="Log JSON lines: jobs and problems.")] = False,
    device: Device = "auto",
    precision: Precision = "auto",
    runtime: Runtime = "auto",
) -> int:
    """Serve a web page and a REST service that segment videos.

    \b
    Examples:
      save-avs serve
      save-avs serve --model save-small --model runs/s4/model --workers 2
      SAVE_AVS_TOKEN=$(openssl rand -hex 24) save-avs serve --host 0.0.0.0
      save-avs serve --no-page --max-size 100 --max-duration 60 --keep 1
      curl -F file=@clip.mp4 http://127.0.0.1:7860/v1/segment

    The page is at /, the description of the REST service at /openapi.json.
    """
    from save_avs.serving.auth import AccessToken
    from save_avs.serving.config import ServiceLimits, WorkerConfig
    from save_avs.serving.server import serve as run_server
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
        lease=lease,
    )
    config = WorkerConfig(
        models=tuple(model or ["save-small"]),
        device=device,
        precision=precision,
        runtime=runtime,
        limits=limits,
        prompt_model=prompt_model,
        json_logs=json_logs,
        hosts=tuple(parse_allowed_host(name) for name in allow_url or []),
    )
    run_server(
        data,
        config,
        host=host,
        port=port,
        token=AccessToken(token) if token else None,
        page=page,
        database=database,
        on_ready=lambda url: json_logs or print_line(f"{'page' if page else 'service'} at {url}", err=True),
    )
    return 0
