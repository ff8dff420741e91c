"""The jobs of all servers in one table, which is the queue, too: in SQLite or PostgreSQL."""

import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import JSON, Boolean, Column, Double, Integer, String, Text, and_, event, func, or_
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from save_avs._extras import require
from save_avs.errors import UsageError
from save_avs.serving.errors import DISK_FULL, ServiceError
from save_avs.serving.job import Job, JobError, JobProgress, JobRecord, JobState

MAX_ATTEMPTS = 3  # a job whose server or worker was killed this often may be the reason
_BUSY_TIMEOUT = 10  # seconds to wait for a lock of SQLite, or for an answer of PostgreSQL
_SPARE = 500_000  # bytes that SQLite's files keep for changes on a full disk
_JSON = JSON(none_as_null=True)
_jobs = sa.Table(
    "save_avs_jobs",
    sa.MetaData(),
    Column("id", String(32), primary_key=True),
    Column("name", Text, nullable=False),
    Column("frames", Integer, nullable=False),
    Column("url", Text),
    Column("options", _JSON, nullable=False),
    Column("state", String(16), nullable=False),
    Column("created", Double, nullable=False),
    Column("started", Double),
    Column("ended", Double),
    Column("attempts", Integer, nullable=False),
    Column("warnings", _JSON, nullable=False),
    Column("error", _JSON),
    Column("run", String(16)),
    Column("lease", Double),
    Column("cancel", Boolean, nullable=False),
    Column("progress", _JSON),
    sa.Index("save_avs_jobs_queue", "state", "created", "id"),
)
_c = _jobs.c
_WAITING = and_(_c.state == JobState.ACCEPTED, ~_c.cancel)
_AGAIN = {"state": JobState.ACCEPTED, "started": None, "run": None, "lease": None, "warnings": []}


class JobStore:
    """The jobs by id, shared by all servers of one database; thread-safe.

    A server claims a job for ``lease`` seconds and renews the claim while it works. A claim that ran out is
    void: ``recover`` queues the job again, and whatever its former server still reports is ignored, because
    every change of a running job names the ``run`` that the claim drew. All statements are atomic.

    Args:
        database: URL of a PostgreSQL database, or None for ``jobs.sqlite`` in ``root``.
        root: the data folder.
        lease: seconds.

    Raises:
        UsageError: the URL is malformed, or its database cannot be reached.
        ServiceError: from every method, while the database cannot be reached (``store_unavailable``) or
            has no space left (``disk_full``).
    """

    def __init__(self, database: str | None, root: Path, *, lease: float) -> None:
        self._lease = lease
        url = _parse(database) if database else sa.URL.create("sqlite", database=str(root / "jobs.sqlite"))
        shared = url.get_backend_name() == "postgresql"
        # A database without an encoding (SQL_ASCII) would answer in bytes.
        arguments = {
            "connect_timeout": 5,
            "tcp_user_timeout": _BUSY_TIMEOUT * 1000,
            "client_encoding": "utf8",
        }
        self._engine = sa.create_engine(
            url,
            isolation_level="AUTOCOMMIT",
            pool_size=8,
            max_overflow=0,
            pool_timeout=_BUSY_TIMEOUT,
            pool_pre_ping=shared,
            connect_args=arguments if shared else {"timeout": _BUSY_TIMEOUT},
        )
        # Leases are compared on one clock: that of the database, or of the one machine that has the file.
        epoch = sa.cast(sa.extract("epoch", func.clock_timestamp()), Double)
        self._now: Callable[[], Any] = (lambda: epoch) if shared else time.time
        if not shared:
            event.listen(self._engine, "connect", _set_up_sqlite)
        try:
            self._create()
        except ServiceError as error:
            raise UsageError(f"The job database cannot be used: {error} Check --database.") from error

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    def _create(self) -> None:
        with suppress(SQLAlchemyError):  # another server was first; or else the next one fails
            _jobs.metadata.create_all(self._engine)
        if self._engine.dialect.name == "sqlite":
            with self._connect() as connection:  # pages that are freed again stay in the files
                connection.exec_driver_sql("CREATE TABLE IF NOT EXISTS spare (bytes BLOB)")
                connection.exec_driver_sql(f"INSERT INTO spare VALUES (zeroblob({_SPARE}))")
                connection.exec_driver_sql("DELETE FROM spare")
        self.waiting()

    @contextmanager
    def _connect(self) -> Iterator[sa.Connection]:
        try:
            with self._engine.connect() as connection:
                yield connection
        except SQLAlchemyError as error:
            text = str(getattr(error, "orig", error)).strip().partition("\n")[0]
            if "disk is full" in text or "No space left" in text:
                raise ServiceError("disk_full", DISK_FULL) from error
            raise ServiceError("store_unavailable", f"No access to the jobs: {text}.") from error

    def _rows(self, statement: Any) -> Sequence[sa.Row[Any]]:
        with self._connect() as connection:
            return connection.execute(statement).all()

    def _change(self, condition: sa.ColumnElement[bool], **values: Any) -> list[JobRecord]:
        """Change the jobs of a condition in one statement, and return them as they are now."""
        changed = self._rows(sa.update(_jobs).where(condition).values(values).returning(_jobs))
        return [JobRecord.model_validate(row._mapping) for row in changed]

    def _change_one(self, condition: sa.ColumnElement[bool], **values: Any) -> JobRecord | None:
        return next(iter(self._change(condition, **values)), None)

    def add(self, job: Job) -> JobRecord:
        """Add a job at the end of the queue, and return it as it is stored."""
        values = {**job.model_dump(mode="json"), "created": self._now(), "cancel": False}
        (row,) = self._rows(sa.insert(_jobs).values(values).returning(_jobs))
        return JobRecord.model_validate(row._mapping)

    def find(self, id: str) -> JobRecord | None:
        """Return the current job of an id."""
        rows = self._rows(sa.select(_jobs).where(_c.id == id))
        return JobRecord.model_validate(rows[0]._mapping) if rows else None

    def waiting(self) -> int:
        """Count the jobs that wait for a worker."""
        return self._rows(sa.select(func.count()).where(_WAITING))[0][0]

    def position(self, job: Job) -> int | None:
        """Count the jobs ahead of this one; None when it does not wait."""
        if job.state is not JobState.ACCEPTED:
            return None
        before = or_(_c.created < job.created, and_(_c.created == job.created, _c.id < job.id))
        return self._rows(sa.select(func.count()).where(_WAITING, before))[0][0]

    def claim(self) -> JobRecord | None:
        """Take the first waiting job, if there is one; no two callers get the same."""
        first = sa.select(_c.id).where(_WAITING).order_by(_c.created, _c.id).limit(1)
        return self._change_one(
            and_(_c.id == first.with_for_update(skip_locked=True).scalar_subquery(), _WAITING),
            state=JobState.RUNNING,
            started=self._now(),
            attempts=_c.attempts + 1,
            run=secrets.token_hex(8),
            lease=self._now() + self._lease,
            progress=None,
        )

    def renew(self, job: JobRecord, progress: JobProgress | None, warnings: list[str]) -> JobRecord | None:
        """Extend the claim on a job, with its progress and all warnings so far; None when it was lost."""
        values = {"progress": progress and progress.model_dump(), "warnings": list(warnings)}
        return self._change_one(_held(job), lease=self._now() + self._lease, **values)

    def finish(self, job: JobRecord, state: JobState, error: JobError | None = None) -> JobRecord | None:
        """Set the final state of a claimed job; None when the claim was lost."""
        values = {"error": error and error.model_dump(), "warnings": job.warnings}
        return self._change_one(_held(job), state=state, ended=self._now(), lease=None, **values)

    def release(self, job: JobRecord, *, count: bool) -> None:
        """Queue a claimed job again, in its old place; ``count`` it as an attempt."""
        self._change(_held(job), **_AGAIN, attempts=job.attempts - (not count))

    def cancel(self, id: str) -> JobRecord | None:
        """Cancel a waiting job, or have a running one cancelled by its server; None when it has ended."""
        unended = and_(_c.id == id, _c.state.in_([JobState.ACCEPTED, JobState.RUNNING]))
        asked = self._change_one(unended, cancel=True)
        waited = and_(_c.id == id, _c.state == JobState.ACCEPTED, _c.cancel)
        return (asked and self._change_one(waited, state=JobState.CANCELLED, ended=self._now())) or asked

    def recover(self) -> list[JobRecord]:
        """Queue all jobs again whose claims ran out; return those that ended instead."""
        void = and_(_c.state == JobState.RUNNING, _c.lease < self._now())
        ending = {"ended": self._now(), "lease": None}
        cancelled = and_(_c.cancel, or_(void, _c.state == JobState.ACCEPTED))
        ended = self._change(cancelled, state=JobState.CANCELLED, **ending)
        text = f"Its server was killed {MAX_ATTEMPTS} times while it worked on this video."
        error = JobError(code="killed", message=text).model_dump()
        killed = and_(void, _c.attempts >= MAX_ATTEMPTS)
        ended += self._change(killed, state=JobState.FAILED, error=error, **ending)
        self._change(void, **_AGAIN)
        return ended

    def expired(self, keep: float) -> list[str]:
        """Return the ids of the jobs that ended longer than ``keep`` seconds ago."""
        return [row.id for row in self._rows(sa.select(_c.id).where(_c.ended < self._now() - keep))]

    def remove(self, id: str) -> None:
        """Remove a job; nothing when it is gone already."""
        with self._connect() as connection:
            connection.execute(_jobs.delete().where(_c.id == id))


def _held(job: JobRecord) -> sa.ColumnElement[bool]:
    return and_(_c.id == job.id, _c.run == job.run, _c.state == JobState.RUNNING)


def _parse(database: str) -> sa.URL:
    require("postgres", "psycopg")
    try:
        url = sa.make_url(database)
    except ArgumentError:
        url = None
    if url is None or url.get_backend_name() not in ("postgresql", "postgres"):
        raise UsageError("Invalid --database: expected postgresql://USER:PASSWORD@HOST/NAME.")
    return url.set(drivername="postgresql+psycopg")


def _set_up_sqlite(connection: Any, _: Any) -> None:
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")
    connection.execute("PRAGMA wal_autocheckpoint=100")  # pages: the log stays within its spare bytes
