"""The engine of one machine: worker processes, each looked after by a thread."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from queue import SimpleQueue

from save_avs.batch.messages import Entry, Kit, Outcome
from save_avs.batch.supervisor import WorkerSupervisor

_AHEAD = 2  # clips a worker has been given or has done, and nobody has taken yet


def run_local(entries: Iterable[Entry], kit: Kit, workers: int) -> Generator[Outcome]:
    """Do clips by ``workers`` processes; yield what became of each, as they end.

    Raises:
        UsageError, SaveAvsError: no clip can be done.
    """
    supervisors = [WorkerSupervisor(kit) for _ in range(workers)]
    free: SimpleQueue[WorkerSupervisor] = SimpleQueue()
    for supervisor in supervisors:
        free.put(supervisor)

    def do(entry: Entry) -> Outcome:
        supervisor = free.get()
        try:
            return supervisor.run(entry)
        finally:
            free.put(supervisor)

    pool = ThreadPoolExecutor(workers)
    waiting: set[Future[Outcome]] = set()
    try:
        for entry in entries:
            waiting.add(pool.submit(do, entry))
            if len(waiting) >= _AHEAD * workers:
                done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                yield from (future.result() for future in done)
        while waiting:
            done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
            yield from (future.result() for future in done)
    finally:
        for supervisor in supervisors:
            supervisor.close()
        pool.shutdown(cancel_futures=True)
