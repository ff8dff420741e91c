"""Inference speed of SAVE or its image encoder against transformers' SAM and published AVS code.

    python benchmarks/inference_speed.py [--part encoder|model] [--preset vit_b] [--case 256x8]...
        [--rounds N] [--threads N] [--only NAMES] [--int8] [--no-memory] [--json FILE] [--plot FILE]

Weights are random. All implementations of a case are timed interleaved, so that other load affects them
alike; the fastest round of each counts. The limit is the fastest matrix product of the same rounds, by torch
or by oneDNN. Operations are SAM's own in matrix products and convolutions: without padding, and without the
extra channels that carry the relative position in some of our kernels.
"""

from __future__ import annotations

import argparse
import json
import platform
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from inference_cases import DTYPES, VARIANTS, Case, Part
from peak_memory import peak_megabytes
from rich.console import Console
from rich.table import Table

from save_avs._files import atomic_path, atomic_write
from save_avs.evaluation.runtime_speed import PeakMatmul, time_call, time_interleaved
from save_avs.models import SaveConfig
from save_avs.models.profile import profile_model
from save_avs.models.sam import build_sam
from save_avs.models.sam.attention import Attention
from save_avs.weights.state_dict import on_meta_device

DEFAULT = ("256x1", "256x8", "512x4", "1024x1")  # image size x batch size
LARGE = 1024  # image size from which on there are at most three rounds: one takes half a minute


@dataclass(frozen=True)
class Row:
    """Measurements of a case.

    Attributes:
        part, preset, size, batch, implementation, precision: of the case.
        ms: milliseconds per frame.
        ratio: times the speed of transformers in float32.
        gflops: GFLOP/s.
        limit_gflops: GFLOP/s of the fastest matrix product.
        share: of the limit.
        megabytes: peak memory beyond the weights; None where it was not measured.
    """

    part: str
    preset: str
    size: int
    batch: int
    implementation: str
    precision: str
    ms: float
    ratio: float
    gflops: float
    limit_gflops: float
    share: float
    megabytes: float | None


def gflop(part: Part, name: str, size: int) -> float:
    """Return the operations per frame."""
    adapters = {} if part == "model" else {"image_adapter": None}
    config = SaveConfig.from_preset(f"save-{name.replace('_', '-')}", image_size=size, **adapters)
    flops = profile_model(config).flops
    counted = sum(flops.values()) if part == "model" else flops["SAM encoder"]
    return (counted - position_flops(name, size)) / 1e9


def position_flops(name: str, size: int) -> int:
    """Return the counted operations per frame in the extra channels that carry the relative position."""
    with on_meta_device():
        blocks = build_sam(name, image_size=size).image_encoder.blocks
    total = 0
    for attention in (block.get_submodule("attn") for block in blocks):
        assert isinstance(attention, Attention)
        for down, across, h, w in chain.from_iterable(attention.regions):
            cut = int(h * w < attention.window_size**2)  # one more key, and a channel for it
            total += 2 * down * across * attention.num_heads * h * w * (h * w + cut) * (h + w + cut)
    return total


@torch.inference_mode()
def compare(cases: list[Case], rounds: int, memory: bool) -> list[Row]:
    """Time all cases of one part, size and batch."""
    runs = {(case.implementation, case.precision): case.build() for case in cases}
    limits = {precision: PeakMatmul(dtype) for precision, dtype in DTYPES.items()}
    timed = {" ".join(variant): partial(time_call, run) for variant, run in runs.items()}
    seconds = time_interleaved(timed | limits, rounds, choose=min)
    del runs, timed
    first = cases[0]
    work = gflop(first.part, first.preset, first.size) * first.batch
    rows = []
    for case in cases:
        taken = seconds[f"{case.implementation} {case.precision}"]
        limit = PeakMatmul.flops / seconds[case.precision] / 1e9
        rows.append(
            Row(
                *(case.part, case.preset, case.size, case.batch, case.implementation, case.precision),
                ms=1e3 * taken / case.batch,
                ratio=seconds["transformers fp32"] / taken,
                gflops=work / taken,
                limit_gflops=limit,
                share=work / taken / limit,
                megabytes=peak_megabytes(case) if memory else None,
            )
        )
    return rows


def make_table(rows: list[Row]) -> Table:
    """Format the measurements, with a section per size and batch."""
    title = "ms per frame, times the speed of transformers' float32, share of the limit"
    table = Table(title=f"{rows[0].part}, {rows[0].preset}: {title}")
    for heading in ("px", "batch", "method", "ms", "ratio", "GFLOP/s", "limit", "share", "MB"):
        table.add_column(heading, justify="left" if heading == "method" else "right")
    previous = rows[0]
    for row in rows:
        if (row.size, row.batch) != (previous.size, previous.batch):
            table.add_section()
        previous = row
        memory = "" if row.megabytes is None else f"{row.megabytes:.0f}"
        rates = (f"{row.gflops:.0f}", f"{row.limit_gflops:.0f}", f"{row.share:.0%}")
        cells = (f"{row.ms:.1f}", f"{row.ratio:.2f}", *rates, memory)
        table.add_row(str(row.size), str(row.batch), f"{row.implementation} {row.precision}", *cells)
    return table


def plot(rows: list[Row], file: Path) -> None:
    """Plot the milliseconds per frame as bars, a panel per size and batch."""
    from matplotlib.figure import Figure

    panels = list(dict.fromkeys((row.size, row.batch) for row in rows))
    figure = Figure(figsize=(3.2 * len(panels), 3), layout="constrained")
    for axes, (size, batch) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        shown = [row for row in rows if (row.size, row.batch) == (size, batch)][::-1]
        colors = ["tab:blue" if row.implementation == "ours" else "lightgrey" for row in shown]
        bars = axes.barh(
            [f"{row.implementation} {row.precision}" for row in shown],
            [row.ms for row in shown],
            color=colors,
        )
        axes.bar_label(bars, fmt="{:.0f}", padding=2)
        axes.set(title=f"{size} px, batch {batch}", xlabel="ms per frame")
        axes.margins(x=0.2)
        axes.spines[["top", "right"]].set_visible(False)
    with atomic_path(file) as part:
        figure.savefig(part, dpi=120)


def describe_environment(threads: int) -> dict[str, Any]:
    """Return the time, the machine and the versions."""
    from transformers import __version__

    machine = {"machine": torch.cpu.get_capabilities()["cpu_name"], "threads": threads}
    versions = {"torch": torch.__version__, "transformers": __version__, "python": platform.python_version()}
    return {"time": datetime.now(UTC).isoformat(timespec="seconds"), **machine, **versions}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--part", choices=["encoder", "model"], default="encoder")
    parser.add_argument("--preset", choices=["vit_b", "vit_l", "vit_h"], default="vit_b")
    parser.add_argument("--case", action="append", metavar="PXxBATCH", help=f"default: {' '.join(DEFAULT)}")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, help="CPU threads")
    parser.add_argument("--only", metavar="NAMES", help="implementations besides transformers in float32")
    parser.add_argument(
        "--int8", action="store_true", help="time OpenVINO's int8, too; its calibration takes minutes"
    )
    parser.add_argument("--no-memory", action="store_true", help="do not measure memory")
    parser.add_argument("--json", type=Path, help="append the results to a JSON Lines file")
    parser.add_argument("--plot", type=Path, help="save a bar chart (PNG)")
    args = parser.parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)
    variants = [variant for variant in VARIANTS if args.int8 or variant[0] != "openvino-int8"]
    if args.only:
        named = {*args.only.split(",")}
        variants = [v for v in variants if v[0] in named or v == ("transformers", "fp32")]
    rows: list[Row] = []
    for text in args.case or DEFAULT:
        size, batch = map(int, text.split("x"))
        cases = [Case(args.part, *variant, args.preset, size, batch) for variant in variants]
        rounds = args.rounds if size < LARGE else min(args.rounds, 3)
        rows += compare(cases, rounds, not args.no_memory)
    environment = describe_environment(torch.get_num_threads())
    Console().print(make_table(rows), environment)
    if args.json:
        lines = args.json.read_text() if args.json.exists() else ""
        atomic_write(
            args.json, lines + json.dumps({**environment, "rows": [asdict(row) for row in rows]}) + "\n"
        )
    if args.plot:
        plot(rows, args.plot)


if __name__ == "__main__":
    main()
