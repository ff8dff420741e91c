"""What a simulated cluster is made of: clips, servers with queues, machines that fail, a ledger."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterable
from dataclasses import dataclass
from heapq import heapreplace
from math import inf
from typing import Any, NamedTuple

import simpy

Process = Generator[simpy.Event, Any, None]


class Clip(NamedTuple):
    """A clip and what it asks of each stage."""

    number: int
    video_bytes: float
    chunks: int  # it is decoded in so many pieces, and the model begins with the first
    decode: float  # seconds of a core
    model: float  # seconds of a GPU, or of a core where there is none
    write: float  # seconds of whoever writes
    result_bytes: float


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """Machines and how the work is laid out on them.

    Attributes:
        nodes, cores, gpus: machines, and what each has; without GPUs the model runs on cores.
        workers: processes a node. Each decodes and runs the model; where ``separate``, it decodes only, and
            one more process a GPU (without GPUs: a core) runs the model.
        block: clips that a worker takes at once and hands on together, as Ray Data does.
        ahead: chunks that wait for the model, a worker.
        waiting: results that wait for the writer, a worker; a worker whose result finds no room waits.
        link, store: bytes/s of a node's network and of the store of all videos.
        latency: seconds until the store sends the first byte of a clip.
        by_nodes: each node writes parts of its own; else the driver writes all.
        part_clips, part_bytes, part_age: a part is written when one is reached (clips, bytes, seconds).
        part_seconds: what writing a part takes beyond its clips' ``write``.
        node_mtbf, driver_mtbf: mean seconds to a failure, exponentially distributed.
        reboot: seconds from a failure to work again.
    """

    nodes: int = 1
    cores: int = 16
    gpus: int = 0
    workers: int = 16
    separate: bool = False
    block: int = 1
    ahead: int = 2
    waiting: int = 2
    link: float = 1.25e9
    store: float = 12.5e9
    latency: float = 0.2
    by_nodes: bool = False
    part_clips: float = 1000
    part_bytes: float = 64e6
    part_age: float = 60.0
    part_seconds: float = 0.1
    node_mtbf: float = inf
    driver_mtbf: float = inf
    reboot: float = 300.0


class Servers:
    """Alike servers with one queue, first come first served."""

    def __init__(self, env: simpy.Environment, count: int) -> None:
        self._env, self._free, self._booked = env, [0.0] * count, 0.0

    def serve(self, seconds: float) -> simpy.Event:
        """Book the next server that is free; the event comes when it has served."""
        now = self._env.now
        end = max(now, self._free[0]) + seconds
        heapreplace(self._free, end)
        self._booked += seconds
        return self._env.timeout(end - now)

    @property
    def busy(self) -> float:
        """Seconds they have served until now."""
        return self._booked - self._outstanding()

    def clear(self) -> None:
        """Drop whoever is served or waits."""
        self._booked -= self._outstanding()
        self._free = [self._env.now] * len(self._free)

    def _outstanding(self) -> float:
        return sum(max(0.0, end - self._env.now) for end in self._free)


class Ledger:
    """What is to do, and what is written.

    Attributes:
        written: how often each clip was written.
        results: when each result came to its writer; one that is lost and done again comes twice.
        complete: the event that all clips are written.
    """

    def __init__(self, env: simpy.Environment, clips: Iterable[Clip]) -> None:
        self._env, self._todo, self._more = env, deque(clips), env.event()
        self.written = [0] * len(self._todo)
        self.results: list[float] = []
        self.parts = self._done = 0
        self.complete = env.event()

    def take(self, most: int) -> Generator[simpy.Event, Any, list[Clip]]:
        """Wait for clips that are to do."""
        while not self._todo:
            yield self._more
        return [self._todo.popleft() for _ in range(min(most, len(self._todo)))]

    def lose(self, clips: Iterable[Clip]) -> None:
        """Put clips back whose work is lost."""
        self._todo.extend(clips)
        self._more.succeed()
        self._more = self._env.event()

    def write(self, part: Iterable[Clip]) -> None:
        """Note that a part is on the disk."""
        self.parts += 1
        for clip in part:
            self.written[clip.number] += 1
            self._done += 1
        if self._done == len(self.written):
            self.complete.succeed()


class Machine:
    """Runs processes; whatever it holds when it fails is lost and goes back to the ledger."""

    def __init__(self, env: simpy.Environment, ledger: Ledger) -> None:
        self.env, self.ledger = env, ledger
        self.held: dict[int, Clip] = {}
        self._alive: set[simpy.Process] = set()

    def spawn(self, process: Process) -> None:
        """Run a process until it ends or the machine stops."""
        self._alive.add(self.env.process(self._mortal(process)))

    def stop(self) -> None:
        """End all processes and lose what is held."""
        for process in list(self._alive):
            process.interrupt()
        self.ledger.lose(self.held.values())
        self.held = {}

    def _mortal(self, process: Process) -> Process:
        try:
            yield from process
        except simpy.Interrupt:
            pass
        finally:
            self._alive.discard(self.env.active_process)  # type: ignore[arg-type], one is active here


class Writer:
    """Takes results and writes them, a part at a time, by the rule of `save_avs.bulk.folder`."""

    def __init__(self, machine: Machine, cluster: Cluster, workers: int) -> None:
        self.machine, self._cluster = machine, cluster
        self._clerk = Servers(machine.env, 1)
        self._room = max(1, cluster.waiting * workers)
        self.open()

    @property
    def busy(self) -> float:
        """Seconds in which it took or wrote something."""
        return self._clerk.busy

    def open(self) -> None:
        """Begin with nothing, as after a failure."""
        self._clerk.clear()
        self._inbox = simpy.Store(self.machine.env, self._room)
        self.machine.spawn(self._work())
        self.machine.spawn(self._tick())

    def hand(self, clip: Clip, giver: Machine) -> Process:
        """Wait for room, then pass a result from one machine to the writer's."""
        with self._inbox.put(clip) as put:
            yield put
        del giver.held[clip.number]
        self.machine.held[clip.number] = clip

    def _work(self) -> Process:
        part, size, since = [], 0.0, self.machine.env.now
        while True:
            clip = yield self._inbox.get()
            if clip is not None:
                yield self._clerk.serve(clip.write)
                self.machine.ledger.results.append(self.machine.env.now)
                part.append(clip)
                size += clip.result_bytes
            if part and self._is_due(len(part), size, since):
                yield self._clerk.serve(self._cluster.part_seconds)
                self._finish(part)
                part, size, since = [], 0.0, self.machine.env.now

    def _is_due(self, clips: int, size: float, since: float) -> bool:
        full = clips >= self._cluster.part_clips or size >= self._cluster.part_bytes
        return full or self.machine.env.now - since >= self._cluster.part_age

    def _finish(self, part: list[Clip]) -> None:
        for clip in part:
            del self.machine.held[clip.number]
        self.machine.ledger.write(part)

    def _tick(self) -> Process:
        """Have what is left at the end written too."""
        while True:
            yield self.machine.env.timeout(self._cluster.part_age)
            yield self._inbox.put(None)
