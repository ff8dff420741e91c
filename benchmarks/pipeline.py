"""The pipeline of a bulk run, simulated: fetch, decode, model, write; nodes and the driver may fail."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite

import simpy
from machines import Clip, Cluster, Ledger, Machine, Process, Servers, Writer


@dataclass(frozen=True)
class Report:
    """What came of a run.

    Attributes:
        seconds: until all was written.
        rate: clips/s between a fifth and four fifths of the results, start and end left out.
        busy: share of the time to the last result in which store, link, cores, gpus and writer worked.
        done_again: work beyond that of every clip once, as a share of it.
        results: when each result came to its writer.
        parts, failures: how many.
    """

    seconds: float
    rate: float
    busy: dict[str, float]
    done_again: float
    results: Sequence[float]
    parts: int
    failures: int

    @property
    def bottleneck(self) -> str:
        """The stage that worked most of the time."""
        return max(self.busy, key=lambda stage: self.busy[stage])


def simulate(cluster: Cluster, clips: Sequence[Clip], seed: int = 0) -> Report:
    """Run clips, numbered from 0, through a cluster, and see that each is written exactly once."""
    run = Run(cluster, clips, random.Random(seed))
    run.env.run(run.ledger.complete)
    assert set(run.ledger.written) == {1}, "a clip was lost, or written twice"
    return run.report(clips)


class Run:
    """A cluster at work."""

    def __init__(self, cluster: Cluster, clips: Sequence[Clip], draw: random.Random) -> None:
        self.cluster, self._draw = cluster, draw
        self.env = simpy.Environment()
        self.ledger = Ledger(self.env, clips)
        self.store = Servers(self.env, 1)
        self.driver = Machine(self.env, self.ledger)
        self._driver_up, self._failures = True, 0
        everyone = cluster.nodes * cluster.workers
        self._writer = None if cluster.by_nodes else Writer(self.driver, cluster, everyone)
        self.nodes = [Node(self, self._writer) for _ in range(cluster.nodes)]
        for node in self.nodes if isfinite(cluster.node_mtbf) else ():
            self.env.process(self._break_node(node))
        if isfinite(cluster.driver_mtbf):
            self.env.process(self._break_driver())

    def report(self, clips: Sequence[Clip]) -> Report:
        """What came of it, once it is complete."""
        made, now = self.ledger.results, self.env.now
        span = made[-1]  # what follows is waiting until a part is due
        low, high = len(made) // 5, 4 * len(made) // 5
        cores = sum(node.cores.busy for node in self.nodes)
        gpus = sum(node.gpus.busy for node in self.nodes)
        useful = sum(clip.decode + clip.model for clip in clips)
        writers = [self._writer] if self._writer else [node.writer for node in self.nodes]
        size = self.cluster
        return Report(
            seconds=now,
            rate=(high - low) / (made[high] - made[low]) if made[high] > made[low] else len(made) / now,
            busy={
                "store": self.store.busy / span,
                "link": sum(node.link.busy for node in self.nodes) / size.nodes / span,
                "cores": cores / (size.nodes * size.cores) / span,
                "gpus": gpus / max(1, size.nodes * size.gpus) / span,
                "writer": sum(writer.busy for writer in writers) / len(writers) / span,
            },
            done_again=(cores + gpus) / useful - 1,
            results=made,
            parts=self.ledger.parts,
            failures=self._failures,
        )

    def _break_node(self, node: Node) -> Process:
        while True:
            yield self.env.timeout(self._draw.expovariate(1 / self.cluster.node_mtbf))
            self._failures += 1
            node.stop()
            node.up = False
            yield self.env.timeout(self.cluster.reboot)
            node.up = True
            if self._driver_up:
                node.start()

    def _break_driver(self) -> Process:
        """Workers end with the driver; somebody starts the command again."""
        while True:
            yield self.env.timeout(self._draw.expovariate(1 / self.cluster.driver_mtbf))
            self._failures += 1
            self._driver_up = False
            for machine in (self.driver, *self.nodes):
                machine.stop()
            yield self.env.timeout(self.cluster.reboot)
            self._driver_up = True
            if self._writer:
                self._writer.open()
            for node in self.nodes:
                if node.up:
                    node.start()


class Node(Machine):
    """A machine with workers: each fetches a clip, decodes it, runs the model, and hands the result on."""

    def __init__(self, run: Run, writer: Writer | None) -> None:
        super().__init__(run.env, run.ledger)
        self._cluster, self._store = run.cluster, run.store
        self.up = True
        self.link = Servers(self.env, 1)
        self.cores, self.gpus = Servers(self.env, run.cluster.cores), Servers(self.env, run.cluster.gpus or 1)
        self._devices = self.gpus if run.cluster.gpus else self.cores
        self._own = writer is None
        self.writer = writer or Writer(self, run.cluster, run.cluster.workers)
        self._work()

    def stop(self) -> None:
        """Fail."""
        super().stop()
        for servers in (self.link, self.cores, self.gpus):
            servers.clear()

    def start(self) -> None:
        """Begin anew."""
        if self._own:
            self.writer.open()
        self._work()

    def _work(self) -> None:
        workers = self._cluster.workers
        if self._cluster.separate:
            chunks = simpy.Store(self.env, self._cluster.ahead * workers)
            for _ in range(workers):
                self.spawn(self._decode_all(chunks))
            for _ in range(self._cluster.gpus or self._cluster.cores):
                self.spawn(self._model_all(chunks))
        else:
            for _ in range(workers):
                self.spawn(self._do_both())

    def _do_both(self) -> Process:
        """A worker as `save_avs.bulk` has it: a thread decodes ahead, within the clip."""
        while True:
            clips = yield from self.ledger.take(self._cluster.block)
            self.held |= {clip.number: clip for clip in clips}
            for clip in clips:
                yield from self._fetch(clip)
                chunks = simpy.Store(self.env, self._cluster.ahead)
                self.spawn(self._decode(clip, chunks))
                for _ in range(clip.chunks):
                    yield chunks.get()
                    yield self._devices.serve(clip.model / clip.chunks)
            for clip in clips:
                yield from self.writer.hand(clip, self)

    def _decode_all(self, chunks: simpy.Store) -> Process:
        while True:
            for clip in (yield from self.ledger.take(1)):
                self.held[clip.number] = clip
                yield from self._fetch(clip)
                yield from self._decode(clip, chunks)

    def _model_all(self, chunks: simpy.Store) -> Process:
        while True:
            clip, is_last = yield chunks.get()
            yield self._devices.serve(clip.model / clip.chunks)
            if is_last:
                yield from self.writer.hand(clip, self)

    def _fetch(self, clip: Clip) -> Process:
        yield self.env.timeout(self._cluster.latency)
        yield self._store.serve(clip.video_bytes / self._cluster.store)
        yield self.link.serve(clip.video_bytes / self._cluster.link)

    def _decode(self, clip: Clip, chunks: simpy.Store) -> Process:
        for i in range(clip.chunks):
            yield self.cores.serve(clip.decode / clip.chunks)
            yield chunks.put((clip, i == clip.chunks - 1))
