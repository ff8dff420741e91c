"""SAVE and its image encoder beside transformers' SAM and beside the peers' way, on random weights.

    python benchmarks/speed.py [--part encoder|model] [--preset vit_b] [--case 256x8]... [--rounds N]
                               [--threads N] [--int8] [--no-memory] [--json FILE] [--plot FILE]

All ways of a case are timed in turns, so that they meet the same machine; the limit is the fastest matrix
product of the same rounds. Operations are those of our computation: padding is not counted.
"""

from __future__ import annotations

import argparse
import json
import platform
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import torch
from cases import DTYPES, WAYS, Case, Part
from memory import peak_megabytes
from rich.console import Console
from rich.table import Table

from save_avs._files import atomic_path, atomic_write
from save_avs.evaluation.benchmark_timer import PeakMatmul, time_call, time_interleaved
from save_avs.models import SaveConfig
from save_avs.models.profile import profile_model

DEFAULT = ("256x1", "256x8", "512x4", "1024x1")  # side x frames at once
SPARED = 1024  # from this side on, three rounds at most: one takes half a minute


@dataclass(frozen=True)
class Row:
    """What one way took: ms a frame, against transformers' float32, of the limit, MB beyond the weights."""

    part: str
    preset: str
    size: int
    batch: int
    by: str
    precision: str
    ms: float
    ratio: float
    limit_gflops: float
    share: float
    megabytes: float | None


def gflop(part: Part, name: str, size: int) -> float:
    """Operations of one frame."""
    adapters = {} if part == "model" else {"image_adapter": None}
    flops = profile_model(
        SaveConfig.from_preset(f"save-{name.replace('_', '-')}", image_size=size, **adapters)
    ).flops
    return (sum(flops.values()) if part == "model" else flops["SAM encoder"]) / 1e9


@torch.inference_mode()
def compare(cases: list[Case], rounds: int, memory: bool) -> list[Row]:
    """Time the ways of one part, size and batch."""
    runs = {(case.by, case.precision): case.build() for case in cases}
    limits = {precision: PeakMatmul(dtype) for precision, dtype in DTYPES.items()}
    timed = {" ".join(way): partial(time_call, run) for way, run in runs.items()}
    seconds = time_interleaved(timed | limits, rounds)
    del runs, timed
    one = cases[0]
    work = gflop(one.part, one.preset, one.size) * one.batch
    rows = []
    for case in cases:
        taken = seconds[f"{case.by} {case.precision}"]
        limit = PeakMatmul.flops / seconds[case.precision] / 1e9
        rows.append(
            Row(
                *(case.part, case.preset, case.size, case.batch, case.by, case.precision),
                ms=1e3 * taken / case.batch,
                ratio=seconds["transformers fp32"] / taken,
                limit_gflops=limit,
                share=work / taken / limit,
                megabytes=peak_megabytes(case) if memory else None,
            )
        )
    return rows


def show(rows: list[Row]) -> Table:
    """Ways below each other, cases apart."""
    table = Table(
        title=f"{rows[0].part}, {rows[0].preset}: ms a frame, times transformers' float32, share of limit"
    )
    for heading in ("px", "batch", "way", "ms", "ratio", "share", "GFLOP/s", "MB"):
        table.add_column(heading, justify="left" if heading == "way" else "right")
    before = rows[0]
    for row in rows:
        if (row.size, row.batch) != (before.size, before.batch):
            table.add_section()
        before = row
        memory = "" if row.megabytes is None else f"{row.megabytes:.0f}"
        numbers = (f"{row.ms:.1f}", f"{row.ratio:.2f}", f"{row.share:.0%}", f"{row.limit_gflops:.0f}", memory)
        table.add_row(str(row.size), str(row.batch), f"{row.by} {row.precision}", *numbers)
    return table


def plot(rows: list[Row], file: Path) -> None:
    """Bars of the milliseconds a frame, one panel a case."""
    from matplotlib.figure import Figure

    panels = list(dict.fromkeys((row.size, row.batch) for row in rows))
    figure = Figure(figsize=(3.2 * len(panels), 3), layout="constrained")
    for axes, (size, batch) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        here = [row for row in rows if (row.size, row.batch) == (size, batch)][::-1]
        colors = ["tab:blue" if row.by == "ours" else "lightgrey" for row in here]
        bars = axes.barh(
            [f"{row.by} {row.precision}" for row in here], [row.ms for row in here], color=colors
        )
        axes.bar_label(bars, fmt="{:.0f}", padding=2)
        axes.set(title=f"{size} px, batch {batch}", xlabel="ms a frame")
        axes.margins(x=0.2)
        axes.spines[["top", "right"]].set_visible(False)
    with atomic_path(file) as part:
        figure.savefig(part, dpi=120)


def about(threads: int) -> dict[str, Any]:
    """When and where."""
    from transformers import __version__

    machine = {"machine": torch.cpu.get_capabilities()["cpu_name"], "threads": threads}
    versions = {"torch": torch.__version__, "transformers": __version__, "python": platform.python_version()}
    return {"at": datetime.now(UTC).isoformat(timespec="seconds"), **machine, **versions}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--part", choices=["encoder", "model"], default="encoder")
    parser.add_argument("--preset", choices=["vit_b", "vit_l", "vit_h"], default="vit_b")
    parser.add_argument("--case", action="append", metavar="PXxBATCH", help=f"default: {' '.join(DEFAULT)}")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, help="processor threads")
    parser.add_argument(
        "--int8", action="store_true", help="OpenVINO's int8 too: it is calibrated for minutes"
    )
    parser.add_argument("--no-memory", action="store_true", help="skip the processes that measure it")
    parser.add_argument("--json", type=Path, help="append the results to a file of JSON lines")
    parser.add_argument("--plot", type=Path, help="draw a picture")
    given = parser.parse_args()
    if given.threads:
        torch.set_num_threads(given.threads)
    ways = [way for way in WAYS if given.int8 or way[0] != "openvino-int8"]
    rows: list[Row] = []
    for text in given.case or DEFAULT:
        size, batch = map(int, text.split("x"))
        cases = [Case(given.part, by, precision, given.preset, size, batch) for by, precision in ways]
        rounds = given.rounds if size < SPARED else min(given.rounds, 3)
        rows += compare(cases, rounds, not given.no_memory)
    facts = about(torch.get_num_threads())
    Console().print(show(rows), facts)
    if given.json:
        lines = given.json.read_text() if given.json.exists() else ""
        atomic_write(given.json, lines + json.dumps({**facts, "rows": [asdict(row) for row in rows]}) + "\n")
    if given.plot:
        plot(rows, given.plot)


if __name__ == "__main__":
    main()
