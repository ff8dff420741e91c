"""The simulated pipeline of benchmarks/ against closed forms: rates, and what failures cost."""

from __future__ import annotations

import random
import sys
from dataclasses import replace
from math import exp, inf, sqrt
from pathlib import Path
from statistics import mean

import pytest

pytest.importorskip("simpy", reason="simpy is not installed")
sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))  # its scripts import each other by name

from machines import Clip, Cluster
from pipeline import Run, simulate

LOCAL = Cluster(latency=0.0)
PART, MTBF, PAUSE = 20.0, 1000.0, 10.0  # seconds: to write a part, between failures, to start again


def clips(count, **asked):
    usual = {"video_bytes": 0, "chunks": 1, "decode": 1.0, "model": 0.5, "write": 0.0, "result_bytes": 0}
    return [Clip(number, **usual | asked) for number in range(count)]


@pytest.mark.parametrize("separate", [False, True], ids=["both in one", "separate"])
@pytest.mark.parametrize(
    ("stage", "asked", "rate"),
    [
        ("cores", {"decode": 3.0}, 2 * 4 / 3),
        ("gpus", {"decode": 0.1, "model": 1.0}, 2 * 1),
        ("store", {"video_bytes": 1e9}, 1),
        ("link", {"video_bytes": 0.4e9}, 2 / 1.6),
        ("writer", {"write": 2.0}, 1 / 2),
    ],
)
def test_the_slowest_stage_sets_the_rate(stage, asked, rate, separate):
    store = 1e9 if stage == "store" else 1e12
    link = 0.25e9 if stage == "link" else 1e12
    cluster = replace(LOCAL, nodes=2, cores=4, gpus=1, workers=8, separate=separate, store=store, link=link)
    report = simulate(cluster, clips(600, **asked))
    assert report.bottleneck == stage
    assert report.rate == pytest.approx(rate, rel=0.03)


def test_a_worker_decodes_ahead_within_a_clip_only():
    one = replace(LOCAL, cores=1, gpus=1, workers=1)
    half = {"decode": 1.0, "model": 1.0, "chunks": 2}  # decode, both, model: 1.5 s
    assert simulate(one, clips(50, **half)).rate == pytest.approx(1 / 1.5)
    assert simulate(replace(one, separate=True), clips(50, **half)).rate == pytest.approx(1)


def efficiency(interval: int) -> float:
    """Of a worker whose clips take a second and which writes every ``interval`` of them."""
    machine = replace(
        LOCAL,
        cores=1,
        workers=1,
        part_clips=interval,
        part_age=inf,
        part_seconds=PART,
        driver_mtbf=MTBF,
        reboot=PAUSE,
        waiting=1,
    )
    work = clips(16_000, decode=0.0, model=1.0)
    return mean(len(work) / simulate(machine, work, seed).seconds for seed in range(4))


@pytest.mark.slow
def test_parts_are_best_written_at_youngs_interval():
    best = round(sqrt(2 * PART * MTBF))  # Young 1974
    found = {interval: efficiency(interval) for interval in (best // 4, best, 4 * best)}
    assert max(found, key=lambda interval: found[interval]) == best
    for interval, share in found.items():  # Duda 1983
        expected = interval / ((MTBF + PAUSE) * (exp((interval + PART) / MTBF) - 1))
        assert share == pytest.approx(expected, abs=0.04)


@pytest.mark.parametrize("layout", [{}, {"by_nodes": True}, {"separate": True, "gpus": 1}, {"block": 8}])
def test_whatever_fails_each_clip_is_written_once(layout):
    cluster = Cluster(
        nodes=3, cores=4, workers=4, part_age=20.0, node_mtbf=60.0, driver_mtbf=150.0, reboot=5.0, **layout
    )
    run = Run(cluster, clips(1500, chunks=3), random.Random(0))
    run.env.run(run.ledger.complete)
    assert run.ledger.written == [1] * 1500
    assert len(run.ledger.results) > 1500  # some were done again


def test_a_seed_decides_all():
    cluster = Cluster(nodes=2, workers=4, node_mtbf=50.0)
    first, again, other = (simulate(cluster, clips(300), seed).seconds for seed in (1, 1, 2))
    assert first == again != other
