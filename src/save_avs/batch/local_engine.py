"""The engine of one machine: worker processes, each looked after by a thread."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from queue import SimpleQueue

from save_avs.batch.messages import Entry, Kit, Outcome
from save_avs.batch.supervisor import Hand

_AHEAD = 2  # clips a worker has been given or has done, and nobody has taken yet


def run_local(entries: Iterable[Entry], kit: Kit, workers: int) -> Generator[Outcome]:
    """Do clips by ``workers`` processes; yield what became of each, as they end.

    Raises:
        UsageError, SaveAvsError: no clip can be done.
    """
    hands = [Hand(kit) for _ in range(workers)]
    free: SimpleQueue[Hand] = SimpleQueue()
    for hand in hands:
        free.put(hand)

    def do(entry: Entry) -> Outcome:
        hand = free.get()
        try:
            return hand.do(entry)
        finally:
            free.put(hand)

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
        for hand in hands:
            hand.stop()
        pool.shutdown(cancel_futures=True)
        for hand in hands:
            hand.close()
