"""Training speed and peak memory of SAVE, against a reference implementation of the public trainers.

    python benchmarks/training.py [--rounds 2] [--clips 4] [--frames 5] [--threads N] [--json FILE]
    python benchmarks/training.py --threads 1 --clock cpu    (on a loaded machine)
    python benchmarks/training.py --quality [--seeds 3] [--steps 300]

Weights are random and frames synthetic. Each measurement runs in a new process, and a round has one of every
variant: a warm-up step, then a timed one of loss, gradients, clipping and AdamW. Memory is the peak beyond
the imported libraries. The matrix-product peak is measured in each process. The reference is
`reference_training.py`.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from typing import NamedTuple

import torch
from reference_training import reference_loss
from rich.console import Console
from rich.table import Table
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from save_avs.evaluation.runtime_speed import PeakMatmul
from save_avs.losses import save_loss
from save_avs.models import SAVE, SaveConfig, build_save
from save_avs.models.freeze import freeze_except
from save_avs.training.collate import to_device
from save_avs.training.optimizer import Optimizers
from save_avs.types import AVBatch

PARTS = ["adapter", "audio_adapter", "mask_decoder"]
GB = 1e9
CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}


class Variant(NamedTuple):
    """A variant of training; without ``batch``, frames are those of the command line."""

    name: str
    reference: bool = False
    bf16: bool = False
    activation_checkpointing: bool = False
    size: int = 256
    batch: int | None = None


VARIANTS = {
    variant.name: variant
    for variant in (
        Variant("reference, float32", reference=True),
        Variant("ours, float32"),
        Variant("ours, bf16", bf16=True),
        Variant("ours, bf16, activation checkpointing", bf16=True, activation_checkpointing=True),
        Variant(
            "ours, bf16, activation checkpointing, 256 px, 1 frame",
            bf16=True,
            activation_checkpointing=True,
            batch=1,
        ),
        Variant(
            "ours, bf16, activation checkpointing, 1024 px, 1 frame",
            bf16=True,
            activation_checkpointing=True,
            size=1024,
            batch=1,
        ),
    )
}


def our_loss(model: SAVE, batch: AVBatch, features: Tensor) -> Tensor:
    """Return the loss of a step on stored audio features."""
    logits = model.decode(*model.encode(batch.images, batch.log_mel, features))
    return save_loss(logits, batch.masks, batch.has_mask).total


def synthetic_batch(frames: int, size: int, device: torch.device) -> AVBatch:
    """Make a batch of noise."""
    rng = torch.Generator().manual_seed(0)
    batch = AVBatch(
        images=torch.randint(0, 256, (frames, 3, size, size), generator=rng, dtype=torch.uint8),
        log_mel=torch.randn(frames, 1, 96, 64, generator=rng),
        masks=(torch.rand(frames, 1, size // 4, size // 4, generator=rng) > 0.5).float(),
        has_mask=torch.ones(frames, dtype=torch.bool),
        names=("noise",) * frames,
    )
    return to_device(batch, device)


def make_step(
    variant: Variant, model: SAVE, batch: AVBatch, features: Tensor, clock: Callable[[], float]
) -> Callable[[], float]:
    """Return a function that makes one optimizer step and returns its seconds."""
    trained = {n: p for n, p in model.named_parameters() if p.requires_grad}
    optimizers = Optimizers(trained, muon=False, lr=1e-4, weight_decay=0.01)
    device = batch.images.device
    loss = (
        partial(reference_loss, model, batch)
        if variant.reference
        else partial(our_loss, model, batch, features)
    )

    def step() -> float:
        start = clock()
        with torch.autocast(device.type, torch.bfloat16, enabled=variant.bf16):
            value = loss()
        value.backward()
        torch.nn.utils.clip_grad_norm_(trained.values(), 1.0)
        optimizers.step(1.0)
        if device.type == "cuda":
            torch.cuda.synchronize()
        return clock() - start

    return step


def peak_memory(device: torch.device) -> int:
    """Return the peak in bytes: of the allocator on a GPU, else of the process (Linux)."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated()
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


def measure(
    variant: Variant, frames: int, device: torch.device, clock: Callable[[], float]
) -> dict[str, float]:
    """Measure a step in this process: seconds, peak memory, operations, and the matrix-product peak."""
    before = peak_memory(device)
    config = SaveConfig.from_preset("save-vit-b", image_size=variant.size)
    torch.manual_seed(0)
    model = build_save(config).to(device).train()
    freeze_except(model, PARTS)
    model.sam.image_encoder.activation_checkpointing = variant.activation_checkpointing
    batch = synthetic_batch(variant.batch or frames, variant.size, device)
    with torch.no_grad():
        features = model.audio_backbone(batch.log_mel)
    step = make_step(variant, model, batch, features, clock)
    first = step()
    seconds = step()
    memory = peak_memory(device) - before
    frame = synthetic_batch(1, variant.size, device)
    with FlopCounterMode(display=False) as counter:  # last, because it keeps memory
        make_step(variant, model, frame, features[:1], clock)()
    with torch.no_grad():
        product = PeakMatmul(torch.bfloat16 if variant.bf16 else torch.float32)
        peak = PeakMatmul.flops / min(product() for _ in range(10))
    return {
        "frames": len(batch.images),
        "first_s": first,
        "step_s": seconds,
        "memory": memory,
        "flops": counter.get_total_flops() * len(batch.images),
        "peak_flops_per_s": peak,
    }


def measure_in_processes(
    variants: list[str], rounds: int, options: list[str]
) -> dict[str, list[dict[str, float]]]:
    """Measure every variant once per round, each in a new process."""
    results: dict[str, list[dict[str, float]]] = {name: [] for name in variants}
    for _ in range(rounds):
        for name in variants:
            command = [sys.executable, __file__, "--measure", name, *options]
            text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            results[name].append(json.loads(text))
    return results


def medians(rows: list[dict[str, float]]) -> dict[str, float]:
    """Return the median of each measurement over the rounds."""
    return {key: median(row[key] for row in rows) for key in rows[0]}


def make_table(results: dict[str, list[dict[str, float]]]) -> Table:
    """Tabulate the medians; ratios to the reference are taken within each round."""
    table = Table(title="one training step of SAVE ViT-B")
    for heading in ("method", "frames", "frames/s", "ratio", "memory GB", "ratio", "GFLOP", "share of peak"):
        table.add_column(heading, justify="left" if heading == "method" else "right")
    reference = next((rows for name, rows in results.items() if VARIANTS[name].reference), None)
    for name, rows in results.items():
        row = medians(rows)
        speed = memory = ""
        if reference is not None and VARIANTS[name].batch is None:
            pairs = list(zip(reference, rows, strict=True))
            speed = f"{median(p['step_s'] / r['step_s'] for p, r in pairs):.2f}"
            memory = f"{median(r['memory'] / p['memory'] for p, r in pairs):.2f}"
        share = row["flops"] / row["step_s"] / row["peak_flops_per_s"]
        cells = (f"{row['frames']:.0f}", f"{row['frames'] / row['step_s']:.2f}", speed)
        cells += (f"{row['memory'] / GB:.2f}", memory, f"{row['flops'] / GB:.0f}", f"{share:.0%}")
        table.add_row(name, *cells)
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--clips", type=int, default=4, help="clips per step")
    parser.add_argument("--frames", type=int, default=5, help="annotated frames per clip")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--device", default="cpu")
    parser.add_argument(
        "--clock", choices=list(CLOCKS), default="wall", help="cpu: for a loaded machine, with one thread"
    )
    parser.add_argument(
        "--variants", nargs="+", metavar="NAME", choices=list(VARIANTS), default=list(VARIANTS)
    )
    parser.add_argument("--json", type=Path, help="save all measurements to this file")
    parser.add_argument("--quality", action="store_true", help="compare validation losses instead")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--measure", choices=list(VARIANTS), help=argparse.SUPPRESS)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    if args.measure:
        variant, frames = VARIANTS[args.measure], args.clips * args.frames
        print(json.dumps(measure(variant, frames, torch.device(args.device), CLOCKS[args.clock])))
        return
    if args.quality:
        from training_quality import compare

        Console().print(compare(args.seeds, args.steps))
        return
    shared = ("clips", "frames", "threads", "device", "clock")
    options = [argument for name in shared for argument in (f"--{name}", str(getattr(args, name)))]
    results = measure_in_processes(args.variants, args.rounds, options)
    if args.json:
        args.json.write_text(json.dumps(results, indent=1) + "\n")
    Console().print(
        make_table(results),
        f"torch {torch.__version__}, {args.threads} threads, {args.device}, random weights, "
        f"medians of {args.rounds} rounds, {args.clock} time",
    )


if __name__ == "__main__":
    main()
