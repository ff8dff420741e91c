"""The job store on SQLite and on a real PostgreSQL server, used by two servers at once."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from save_avs.errors import UsageError
from save_avs.serving.errors import ServiceError
from save_avs.serving.job import Job, JobError, JobOptions, JobProgress, JobRecord, JobState
from save_avs.serving.job_store import JobStore, _jobs


@pytest.fixture(params=["sqlite", "postgres"])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], JobStore]]:
    """A function that opens one more store of the same jobs."""
    url = request.getfixturevalue("postgres_url") if request.param == "postgres" else None
    stores: list[JobStore] = []

    def open_store() -> JobStore:
        stores.append(JobStore(url, tmp_path, lease=30))
        return stores[-1]

    yield open_store
    stores[0]._rows(_jobs.delete().returning(_jobs.c.id))
    for store in stores:
        store.close()


def add(store: JobStore, name: str = "clip.mp4") -> JobRecord:
    return store.add(Job(name=name, options=JobOptions(model="tiny")))


def claim(store: JobStore) -> JobRecord:
    job = store.claim()
    assert job is not None
    return job


def expire(store: JobStore) -> None:
    """Let the claims run out of all servers that have not renewed them since."""
    store._rows(_jobs.update().values(lease=1.0).returning(_jobs.c.id))


def state(store: JobStore, job: Job) -> str:
    found = store.find(job.id)
    return found.state if found else "removed"


def test_a_job_comes_back_as_it_was_stored(opened):
    store = opened()
    options = JobOptions(model="tiny", fps=2.5, save=["masks", "png"])
    job = Job(name="Ein Häuschen.mp4", url="https://example.org/a?b=c", options=options)
    before = time.time()
    stored = store.add(job)
    assert before <= stored.created <= time.time() and store.find(job.id) == stored
    assert Job.model_validate(stored.model_dump()) == job.model_copy(update={"created": stored.created})
    assert store.find("f" * 32) is None


def test_jobs_are_claimed_in_the_order_they_came(opened):
    first, second = opened(), opened()
    jobs = [add(store) for store in (first, second, first)]
    assert [second.position(job) for job in jobs] == [0, 1, 2] and second.waiting() == 3
    assert [claim(store).id for store in (second, first, second)] == [job.id for job in jobs]
    assert first.waiting() == 0 and first.claim() is None


def test_no_two_claims_get_the_same_job(opened):
    first, second = opened(), opened()
    jobs = [add(store) for store in (first, second) * 20]
    claimed: list[JobRecord] = []

    def take(store: JobStore) -> None:
        while job := store.claim():
            claimed.append(job)

    threads = [threading.Thread(target=take, args=(store,)) for store in (first, second) * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(job.id for job in claimed) == sorted(job.id for job in jobs)
    assert len({job.run for job in claimed}) == 40


def test_a_claim_that_is_renewed_holds_and_shows_progress(opened):
    owner, other = opened(), opened()
    job = add(owner)
    held = claim(owner)
    expire(owner)
    progress = JobProgress(phase="segmenting", fraction=0.5)
    renewed = owner.renew(held, progress, ["no sound"])
    assert renewed is not None and not renewed.cancel
    assert other.recover() == [] and other.claim() is None
    found = other.find(job.id)
    assert found is not None and found.current_progress == progress and found.warnings == ["no sound"]


def test_a_killed_server_s_job_goes_on_elsewhere_and_ends_once(opened):
    killed, other = opened(), opened()
    job = add(killed)
    lost = claim(killed)
    expire(killed)
    assert other.recover() == []
    taken = claim(other)
    assert (taken.id, taken.attempts) == (job.id, 2) and taken.run != lost.run
    # The first server was only slow: nothing of what it says counts any more.
    assert killed.renew(lost, None, []) is None
    assert killed.finish(lost, JobState.DONE) is None
    killed.release(lost, count=False)
    ended = other.finish(taken, JobState.DONE)
    assert ended is not None and ended.run == taken.run and other.finish(taken, JobState.FAILED) is None
    assert state(killed, job) == "done"


def test_a_job_whose_servers_were_killed_three_times_has_failed(opened):
    store = opened()
    job = add(store)
    for attempt in (1, 2, 3):
        assert claim(store).attempts == attempt
        expire(store)
        ended = store.recover()
    assert [(each.id, each.state) for each in ended] == [(job.id, "failed")]
    assert ended[0].error is not None and ended[0].error.code == "killed" and store.recover() == []


def test_a_released_job_is_next_again_and_not_counted(opened):
    store = opened()
    first, second = add(store), add(store)
    store.release(claim(store), count=False)
    again = claim(store)
    assert again.id == first.id and again.attempts == 1
    store.release(again, count=True)
    assert claim(store).attempts == 2 and claim(store).id == second.id


def test_cancelling_reaches_waiting_running_and_abandoned_jobs(opened):
    store, other = opened(), opened()
    abandoned, running, waiting = add(store), add(store), add(store)
    claim(store)
    held = claim(store)
    assert (cancelled := other.cancel(waiting.id)) is not None and cancelled.state == "cancelled"
    assert other.cancel(waiting.id) is None and other.cancel("f" * 32) is None
    assert (asked := other.cancel(running.id)) is not None and asked.state == "running"
    renewed = store.renew(held, None, [])
    assert renewed is not None and renewed.cancel
    store.finish(held, JobState.CANCELLED)
    other.cancel(abandoned.id)
    expire(store)
    assert [job.id for job in other.recover()] == [abandoned.id]
    assert {state(store, job) for job in (abandoned, running, waiting)} == {"cancelled"}
    assert store.claim() is None


def test_ended_jobs_expire_and_are_removed(opened):
    store = opened()
    job, waiting = add(store), add(store)
    error = JobError(code="unreadable", message="It is no video.")
    ended = store.finish(claim(store), JobState.FAILED, error)
    assert ended is not None and ended.error == error
    assert store.expired(60) == []
    time.sleep(0.1)
    assert store.expired(0.05) == [job.id]
    store.remove(job.id)
    store.remove(job.id)
    assert (state(store, job), state(store, waiting)) == ("removed", "accepted")


@pytest.mark.parametrize("url", ["nonsense", "mysql://a/b", "postgresql:///jobs?host=/nowhere"])
def test_a_url_that_leads_nowhere_is_a_usage_error(url, tmp_path):
    with pytest.raises(UsageError, match="--database"):
        JobStore(url, tmp_path, lease=1)


def test_a_database_without_an_encoding_can_be_used(tmp_path, postgres_url):
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("CREATE DATABASE plain ENCODING 'SQL_ASCII' TEMPLATE template0")
    store = JobStore(postgres_url.replace("/postgres?", "/plain?"), tmp_path, lease=1)
    job = add(store, "Ein Häuschen.mp4")
    found = store.find(job.id)
    assert found is not None and found.name == "Ein Häuschen.mp4"
    store.close()


def test_a_database_that_went_away_is_an_error_until_it_is_back(tmp_path, postgres_server):
    store = JobStore(postgres_server.url, tmp_path, lease=30)
    postgres_server.stop()
    try:
        with pytest.raises(ServiceError) as error:
            store.claim()
        assert error.value.code == "store_unavailable" and "save@" not in str(error.value)
    finally:
        postgres_server.start()
    assert store.claim() is None
    store.close()
