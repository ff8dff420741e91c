"""What one server takes on: every bound of the service in one place."""

from __future__ import annotations

from dataclasses import dataclass

from save_avs.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Bounds on videos, on jobs, and on what is kept.

    Attributes:
        size: bytes of a video.
        duration: seconds of a video.
        side: pixels of a video's longer side.
        time: seconds that an upload, and then a job, may take.
        memory: bytes that a worker may hold, its models among them.
        queue: jobs that may wait.
        workers: jobs that run at once, each in a process of its own.
        keep: seconds for which a finished job stays.

    Raises:
        UsageError: when one is not above zero.
    """

    size: int = 500_000_000
    duration: float = 600.0
    side: int = 3840
    time: float = 3600.0
    memory: int = 8_000_000_000
    queue: int = 64
    workers: int = 1
    keep: float = 86_400.0

    def __post_init__(self) -> None:
        """Check that each leaves room for something."""
        for name, value in vars(self).items():
            if not value > 0:
                raise UsageError(f"the limit on {name} must be above 0, not {value:g}")
