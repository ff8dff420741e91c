"""The questions put to the simulated pipeline; each answer is rows of figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from math import ceil, exp, inf
from statistics import mean, stdev

from machines import Cluster
from pipeline import Report, simulate
from scipy.stats import t
from workloads import EVERY, ONE, Workload, with_gpu

NODES = (1, 10, 100, 1000)
ASSUMED = 500  # frames/s of a GPU, not measured
WORKLOADS = (EVERY, ONE, with_gpu(EVERY, ASSUMED), with_gpu(ONE, ASSUMED))
AGES = (10.0, 60.0, 600.0, 3600.0)  # seconds a part
MTBFS = (900.0, 3600.0, 7200.0)
FAILURES = 6  # of a run, about
HOUR = 3600.0
A_CLIP = sum(EVERY.clip(0, 10.0)[3:5])  # seconds of a core


@dataclass(frozen=True)
class Interval:
    """A mean over seeds, and half the width of its 95 % interval."""

    mean: float
    half: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Interval:
        """Student's, over runs."""
        count = len(values)
        width = t.ppf(0.975, count - 1) * stdev(values) / count**0.5 if count > 1 else 0.0
        return cls(mean(values), float(width))


@dataclass(frozen=True)
class Size:
    """A workload on some nodes."""

    workload: Workload
    by_nodes: bool
    nodes: int
    report: Report


def sizes(seed: int) -> list[Size]:
    """How fast clusters are, and which stage holds them up: three clips a worker, 1000 at least."""
    rows = []
    for workload, by_nodes, nodes in product(WORKLOADS, (False, True), NODES):
        cluster = Cluster(nodes=nodes, gpus=workload.gpus, by_nodes=by_nodes)
        clips = workload.clips(max(1000, 3 * nodes * cluster.workers), seed)
        rows.append(Size(workload, by_nodes, nodes, simulate(cluster, clips, seed)))
    return rows


@dataclass(frozen=True)
class Efficiency:
    """Share of an undisturbed run's speed that is left on a machine that fails, simulated and by formula."""

    mtbf: float
    age: float
    simulated: Interval
    formula: float


# Its driver and workers fail together; the clips lie on its disk.
MACHINE = Cluster(cores=2, workers=2, part_bytes=inf, part_age=inf, latency=0.0)


def left_by_failures(age: float, mtbf: float, pause: float) -> float:
    """Efficiency with work saved every ``age`` seconds, failures at random, and a pause after each.

    From the mean time it takes to get ``age`` seconds done without a failure in between (Duda 1983).
    """
    return age / ((mtbf + pause) * (exp(age / mtbf) - 1))


def efficiencies(seeds: Sequence[int]) -> list[Efficiency]:
    """One machine over part intervals and mean times between failures; runs of about six failures."""
    rows = []
    for mtbf, age in product(MTBFS, AGES):
        if age > 2 * mtbf:
            continue  # it hardly ever gets a part done
        part = round(age * MACHINE.workers / A_CLIP)
        expected = left_by_failures(age, mtbf, MACHINE.reboot + A_CLIP / 2)
        parts = ceil(expected * FAILURES * mtbf / age)
        cluster = replace(MACHINE, part_clips=part, driver_mtbf=mtbf)
        values = [_efficiency(cluster, parts * part, seed) for seed in seeds]
        rows.append(Efficiency(mtbf, age, Interval.of(values), expected))
    return rows


def _efficiency(cluster: Cluster, count: int, seed: int) -> float:
    clips = EVERY.clips(count, seed)
    work = sum(clip.decode + clip.model for clip in clips) / cluster.cores
    return work / simulate(cluster, clips, seed).seconds


@dataclass(frozen=True)
class Redone:
    """Work done again in a small cluster whose machines fail often, beside what the rule of thumb says."""

    name: str
    cluster: Cluster
    share: Interval
    rule: float


def redone(seeds: Sequence[int]) -> list[Redone]:
    """Five nodes of eight workers, a failure of each every quarter of an hour."""
    small = Cluster(nodes=5, cores=8, workers=8, node_mtbf=900.0, reboot=60.0)
    cases = {
        "driver writes, clip by clip": (small, A_CLIP / 2),
        "driver writes, blocks of 8": (replace(small, block=8), 8 * A_CLIP / 2),
        "nodes write, 60 s a part": (replace(small, by_nodes=True, part_clips=inf), (60 + A_CLIP) / 2),
        "nodes write, 300 s a part": (
            replace(small, by_nodes=True, part_clips=inf, part_bytes=inf, part_age=300.0),
            (300 + A_CLIP) / 2,
        ),
        "only the driver fails, 60 s a part": (
            replace(small, node_mtbf=inf, driver_mtbf=900.0, part_bytes=inf),
            (60 + A_CLIP) / 2,
        ),
    }
    rows = []
    for name, (cluster, lost) in cases.items():
        values = [simulate(cluster, EVERY.clips(12_000, seed), seed).done_again for seed in seeds]
        rows.append(Redone(name, cluster, Interval.of(values), lost / (900.0 - lost)))
    return rows


@dataclass(frozen=True)
class Layout:
    """Clips/s of a GPU node whose processes do both, or one of the two."""

    workload: Workload
    workers: int
    both: float
    separate: float
    limit: float


def layouts(seed: int) -> list[Layout]:
    """One node with a GPU, chunks of a second, 1000 clips."""
    rows = []
    for workload, workers in product(WORKLOADS[2:], (1, 2, 4, 8, 16, 32)):
        clips = workload.clips(1000, seed, chunk=1.0)
        cluster = Cluster(gpus=1, workers=workers)
        rates = [simulate(replace(cluster, separate=way), clips).rate for way in (False, True)]
        one = workload.clip(0, 10.0)
        rows.append(Layout(workload, workers, *rates, limit=min(cluster.cores / one.decode, 1 / one.model)))
    return rows


@dataclass(frozen=True)
class Tail:
    """When most results were there, and when all, against an even spread of the same work."""

    name: str
    most: float
    last: float
    even: float


def tails(seed: int, short: int = 10_000, long: int = 5) -> list[Tail]:
    """Five nodes, clips of 10 s, and a few of an hour among them."""
    lengths = {
        "no long ones": [10.0] * short,
        "long ones last": [10.0] * short + [HOUR] * long,
        "long ones among the others": _among([10.0] * short, [HOUR] * long),
        "long ones first": [HOUR] * long + [10.0] * short,
        "long ones cut into minutes": _among([10.0] * short, [60.0] * (60 * long)),
    }
    rows = []
    for (name, seconds), block in product(lengths.items(), (1, 8)):
        clips = [EVERY.clip(number, length) for number, length in enumerate(seconds)]
        cluster = Cluster(nodes=5, block=block)
        made = simulate(cluster, clips, seed).results
        even = sum(clip.decode + clip.model for clip in clips) / (cluster.nodes * cluster.cores)
        label = f"{name}, {'blocks of 8' if block > 1 else 'clip by clip'}"
        rows.append(Tail(label, made[99 * len(made) // 100], made[-1], even))
    return rows


def _among(short: list[float], long: list[float]) -> list[float]:
    """Spread the long ones evenly between the short ones."""
    step = len(short) // len(long)
    return [x for i, one in enumerate(long) for x in (*short[i * step : (i + 1) * step], one)]
