"""Bulk runs on clusters, simulated: speed and bottleneck at each size, failures, layouts, long clips.

    python benchmarks/cluster.py [--study sizes|failures|redone|layouts|tails]... [--seed N] [--runs 5]
                                 [--pictures FOLDER]

The stages' rates are those measured on this project's machines, a GPU's is assumed; what is left out of the
model stands in docs/scale.md. Every run ends with the check that each clip was written exactly once.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path

import cluster_studies as studies
from cluster_pictures import draw_efficiencies, draw_sizes


def table(title: str, headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; the first column is text, the others are figures."""
    lines = [headings, ["---", *["--:"] * (len(headings) - 1)], *rows]
    return "\n".join([f"{title}\n", *(f"| {' | '.join(line)} |" for line in lines), ""])


def percent(interval: studies.Interval) -> str:
    """A share with its interval."""
    return f"{100 * interval.mean:.1f} ± {100 * interval.half:.1f} %"


class Answers:
    """The tables, each simulated when it is asked for."""

    def __init__(self, seed: int, runs: int) -> None:
        self._seed, self._seeds = seed, range(seed, seed + runs)
        self.measure_sizes = cache(lambda: studies.sizes(seed))
        self.measure_failures = cache(lambda: studies.efficiencies(self._seeds))

    def sizes(self) -> str:
        """Speed and bottleneck over nodes."""
        headings = ("clips, written by", *(f"{n} nodes" if n > 1 else "1 node" for n in studies.NODES))
        cells: dict[str, list[str]] = {}
        for row in self.measure_sizes():
            name = f"{row.workload.name}, {'nodes' if row.by_nodes else 'driver'}"
            report = row.report
            rate = f"{report.rate:,.{0 if report.rate >= 100 else 1}f}"
            cells.setdefault(name, []).append(f"{rate} ({report.bottleneck})")
        return table("clips/s (busiest stage)", headings, ([name, *row] for name, row in cells.items()))

    def failures(self) -> str:
        """Efficiency of one machine."""
        headings = ("a part every", *(f"MTBF {mtbf / 3600:g} h" for mtbf in studies.MTBFS))
        cells = {
            (row.age, row.mtbf): f"{percent(row.simulated)} ({100 * row.formula:.1f})"
            for row in self.measure_failures()
        }
        rows = (
            [f"{age:.0f} s", *(cells.get((age, mtbf), "") for mtbf in studies.MTBFS)] for age in studies.AGES
        )
        return table("efficiency of one machine, simulated (formula)", headings, rows)

    def redone(self) -> str:
        """Work done again in a small cluster."""
        rows = (
            [row.name, percent(row.share), f"{100 * row.rule:.1f} %"] for row in studies.redone(self._seeds)
        )
        return table("work done again", ("who writes", "simulated", "loss / (MTBF - loss)"), rows)

    def layouts(self) -> str:
        """One process for both, or one for each."""
        rows = (
            [
                f"{row.workload.name}, {row.workers}",
                f"{row.both:.2f}",
                f"{row.separate:.2f}",
                f"{row.limit:.2f}",
            ]
            for row in studies.layouts(self._seed)
        )
        return table(
            "clips/s of a GPU node", ("clips, processes that decode", "both", "separate", "limit"), rows
        )

    def tails(self) -> str:
        """What clips of an hour do among short ones."""
        rows = (
            [row.name, f"{row.most:,.0f}", f"{row.last:,.0f}", f"{row.last / row.even:.2f}"]
            for row in studies.tails(self._seed)
        )
        return table("seconds", ("order, given out", "99 % done", "all done", "times an even spread"), rows)


STUDIES = ("sizes", "failures", "redone", "layouts", "tails")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--study", action="append", choices=STUDIES, help="default: all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--runs", type=int, default=5, help="seeds of the figures with failures")
    parser.add_argument("--pictures", type=Path, metavar="FOLDER", help="draw sizes and failures")
    given = parser.parse_args()
    answers = Answers(given.seed, given.runs)
    asked = given.study or STUDIES
    for study in asked:
        print(getattr(answers, study)(), flush=True)
    if given.pictures and "sizes" in asked:
        draw_sizes(answers.measure_sizes(), given.pictures / "cluster-sizes.png")
    if given.pictures and "failures" in asked:
        draw_efficiencies(answers.measure_failures(), given.pictures / "cluster-failures.png")


if __name__ == "__main__":
    main()
