"""What Prometheus is told."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest


class Metrics:
    """Counters of one service, in a registry of their own.

    Args:
        waiting, running: asked whenever somebody reads them.

    Attributes:
        ended: jobs by how they ended, and the problem's code.
        refused: videos that were not taken in, by the reason.
        seconds: what jobs took, waiting left out.
        received: bytes of videos.
    """

    def __init__(self, *, waiting: Callable[[], int], running: Callable[[], int]) -> None:
        self._all = CollectorRegistry()
        self.ended = Counter(
            "save_avs_jobs_ended", "Jobs that ended", ["state", "problem"], registry=self._all
        )
        self.refused = Counter("save_avs_refused", "Videos not taken in", ["reason"], registry=self._all)
        self.received = Counter("save_avs_received_bytes", "Bytes of videos", registry=self._all)
        buckets = (1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600)
        self.seconds = Histogram(
            "save_avs_job_seconds", "What jobs took", buckets=buckets, registry=self._all
        )
        Gauge("save_avs_jobs_waiting", "Jobs in the queue", registry=self._all).set_function(waiting)
        Gauge("save_avs_jobs_running", "Jobs that run", registry=self._all).set_function(running)

    def text(self) -> bytes:
        """All of them, in Prometheus' text format."""
        return generate_latest(self._all)
