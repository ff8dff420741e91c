"""Prometheus metrics."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

_BUCKETS = (1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600)


class Metrics:
    """Metrics of one service, in a registry of their own.

    Args:
        waiting, running: called at each scrape.

    Attributes:
        ended: jobs by final state and error code.
        refused: uploads that were refused, by reason.
        seconds: duration of jobs, without waiting.
        received: bytes of videos.
    """

    def __init__(self, *, waiting: Callable[[], int], running: Callable[[], int]) -> None:
        self._registry = registry = CollectorRegistry()
        self.ended = Counter("save_avs_jobs_ended", "Jobs that ended", ["state", "error"], registry=registry)
        self.refused = Counter("save_avs_refused", "Uploads refused", ["reason"], registry=registry)
        self.received = Counter("save_avs_received_bytes", "Bytes of videos", registry=registry)
        self.seconds = Histogram(
            "save_avs_job_seconds", "Duration of jobs", buckets=_BUCKETS, registry=registry
        )
        Gauge("save_avs_jobs_waiting", "Jobs in the queue", registry=registry).set_function(waiting)
        Gauge("save_avs_jobs_running", "Jobs running", registry=registry).set_function(running)

    def text(self) -> bytes:
        """All metrics in Prometheus' text format."""
        return generate_latest(self._registry)
