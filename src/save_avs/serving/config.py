"""Configuration of one server: the limits of the service, and what each worker is started with."""

from dataclasses import dataclass

from save_avs.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class ServiceLimits:
    """Limits on videos, on jobs, and on what is kept.

    Attributes:
        size: bytes per video.
        duration: seconds per video.
        side: pixels of a video's longer side.
        time: seconds per upload, and then per job.
        memory: bytes per worker, its models included.
        queue: jobs that may wait.
        workers: jobs that run at once, each in a process of its own.
        keep: seconds after which a finished job is removed.
        lease: seconds without a sign of life after which the jobs of a server are given to others.

    Raises:
        UsageError: one is not above zero.
    """

    size: int = 500_000_000
    duration: float = 600.0
    side: int = 3840
    time: float = 3600.0
    memory: int = 8_000_000_000
    queue: int = 64
    workers: int = 1
    keep: float = 86_400.0
    lease: float = 30.0

    def __post_init__(self) -> None:
        """Check that every limit is above zero."""
        for name, value in vars(self).items():
            if not value > 0:
                raise UsageError(f"Invalid limit {name}={value:g}: it must be above 0.")


@dataclass(frozen=True, kw_only=True)
class WorkerConfig:
    """What every worker is started with."""

    models: tuple[str, ...]  # names or folders, as ``load_model`` takes them, and the next three
    device: str = "auto"
    precision: str = "auto"
    runtime: str = "auto"
    limits: ServiceLimits
    prompt_model: str | None = None  # a SAM that answers prompts on images, as ``load_prompt_model`` takes it
    hosts: tuple[str, ...] = ()  # from which videos may be fetched
    json_logs: bool = False
