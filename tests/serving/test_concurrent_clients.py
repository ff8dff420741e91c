"""Fifty clients at once: every accepted job gets exactly one result."""

from __future__ import annotations

import threading
import time

import httpx

from tests.support.service import serving

CLIENTS = 50


def test_fifty_clients_at_once_lose_no_job(tiny, tmp_path, tmp_path_factory):
    from tests.support.sample_videos import make_video

    video = make_video(tmp_path_factory.mktemp("short") / "clip.mp4", frames=6, size=(48, 32)).read_bytes()
    outcomes: dict[int, tuple[str, int]] = {}
    together = threading.Barrier(CLIENTS)

    def visit(number: int, url: str) -> None:
        refused = 0
        with httpx.Client(base_url=url, timeout=180) as client:
            together.wait()
            files = {"file": (f"clip-{number}.mp4", video)}
            while (
                answer := client.post("/v1/segment", files=files, data={"save": "masks"})
            ).status_code == 429:
                refused += 1
                time.sleep(0.05 * int(answer.headers["Retry-After"]))
            id = answer.json()["id"]
            while (job := client.get(f"/v1/jobs/{id}").json())["state"] in ("accepted", "running"):
                time.sleep(0.1)
            summary = client.get(job["results"]["summary.json"]).json()
            assert summary["source"] == f"clip-{number}.mp4" and summary["frames"] == 6
            outcomes[number] = (id, refused)

    with serving(tmp_path, tiny, queue=5) as own:
        threads = [threading.Thread(target=visit, args=(number, own.url)) for number in range(CLIENTS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(600)
        assert sorted(outcomes) == list(range(CLIENTS))
        assert len({id for id, _ in outcomes.values()}) == CLIENTS
        assert sum(refused for _, refused in outcomes.values()) > 0  # the queue was full, and all came in
        metrics = own.client.get("/metrics").text
        assert f'save_avs_jobs_ended_total{{error="",state="done"}} {CLIENTS}.0' in metrics
