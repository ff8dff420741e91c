"""Training SAVE: frames a second and peak memory, ours beside the plain way of the public trainers.

    python benchmarks/training.py [--rounds 2] [--clips 4] [--frames 5] [--threads N] [--json FILE]
    python benchmarks/training.py --threads 1 --clock processor    (on a machine that has other work)
    python benchmarks/training.py --quality [--seeds 3] [--steps 300]

Random weights, synthetic frames, one fresh process a measurement, the ways one after another in each round. A
measurement is a step that does not count and one that does: loss, gradients, their norm's limit, AdamW.
Memory is the peak beyond what the imported libraries take. The matrix-product peak is measured in each
process. The plain way is `plain.py`.
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
from plain import plain_loss
from rich.console import Console
from rich.table import Table
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from save_avs.evaluation.benchmark_timer import PeakMatmul
from save_avs.losses import save_loss
from save_avs.models import SAVE, SaveConfig, build_save
from save_avs.models.adapters import freeze_except
from save_avs.training.collate import to_device
from save_avs.training.optimizer import Optimizers
from save_avs.types import AVBatch

PARTS = ["adapter", "audio_adapter", "mask_decoder"]
GB = 1e9
CLOCKS = {"wall": time.perf_counter, "processor": time.process_time}


class Way(NamedTuple):
    """A way to train: ``batch`` None takes the command's."""

    name: str
    plain: bool = False
    bf16: bool = False
    activation_checkpointing: bool = False
    size: int = 256
    batch: int | None = None


WAYS = {
    way.name: way
    for way in (
        Way("plain, float32", plain=True),
        Way("ours, float32"),
        Way("ours, bf16", bf16=True),
        Way("ours, bf16, recompute", bf16=True, activation_checkpointing=True),
        Way("ours, bf16, recompute, 256 px, 1 frame", bf16=True, activation_checkpointing=True, batch=1),
        Way(
            "ours, bf16, recompute, 1024 px, 1 frame",
            bf16=True,
            activation_checkpointing=True,
            size=1024,
            batch=1,
        ),
    )
}


def our_loss(model: SAVE, batch: AVBatch, features: Tensor) -> Tensor:
    """The loss of a step on stored audio features."""
    logits = model.decode(*model.encode(batch.images, batch.log_mel, features))
    return save_loss(logits, batch.masks, batch.has_mask).total


def synthetic_batch(frames: int, size: int, device: torch.device) -> AVBatch:
    """Frames, sounds and masks of noise."""
    draw = torch.Generator().manual_seed(0)
    batch = AVBatch(
        images=torch.randint(0, 256, (frames, 3, size, size), generator=draw, dtype=torch.uint8),
        log_mel=torch.randn(frames, 1, 96, 64, generator=draw),
        masks=(torch.rand(frames, 1, size // 4, size // 4, generator=draw) > 0.5).float(),
        has_mask=torch.ones(frames, dtype=torch.bool),
        names=("noise",) * frames,
    )
    return to_device(batch, device)


def stepper(
    way: Way, model: SAVE, batch: AVBatch, features: Tensor, clock: Callable[[], float]
) -> Callable[[], float]:
    """A function that makes one optimizer step and returns its seconds."""
    trained = {n: p for n, p in model.named_parameters() if p.requires_grad}
    optimizers = Optimizers(trained, muon=False, lr=1e-4, weight_decay=0.01)
    device = batch.images.device
    loss = partial(plain_loss, model, batch) if way.plain else partial(our_loss, model, batch, features)

    def step() -> float:
        start = clock()
        with torch.autocast(device.type, torch.bfloat16, enabled=way.bf16):
            value = loss()
        value.backward()
        torch.nn.utils.clip_grad_norm_(trained.values(), 1.0)
        optimizers.step(1.0)
        if device.type == "cuda":
            torch.cuda.synchronize()
        return clock() - start

    return step


def peak_memory(device: torch.device) -> int:
    """Bytes: the allocator's peak on a GPU, else the process's (Linux)."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated()
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


def measure(way: Way, frames: int, device: torch.device, clock: Callable[[], float]) -> dict[str, float]:
    """Seconds, peak memory, operations of a step and the processor's own peak, in this process."""
    before = peak_memory(device)
    config = SaveConfig.from_preset("save-vit-b", image_size=way.size)
    torch.manual_seed(0)
    model = build_save(config).to(device).train()
    freeze_except(model, PARTS)
    model.sam.image_encoder.activation_checkpointing = way.activation_checkpointing
    batch = synthetic_batch(way.batch or frames, way.size, device)
    with torch.no_grad():
        features = model.audio_backbone(batch.log_mel)
    step = stepper(way, model, batch, features, clock)
    first = step()
    seconds = step()
    memory = peak_memory(device) - before
    one = synthetic_batch(1, way.size, device)
    with FlopCounterMode(display=False) as counter:  # last: what it counts through stays in memory
        stepper(way, model, one, features[:1], clock)()
    with torch.no_grad():
        product = PeakMatmul(torch.bfloat16 if way.bf16 else torch.float32)
        peak = PeakMatmul.flops / min(product() for _ in range(10))
    return {
        "frames": len(batch.images),
        "first_s": first,
        "step_s": seconds,
        "memory": memory,
        "flops": counter.get_total_flops() * len(batch.images),
        "peak_flops_per_s": peak,
    }


def in_processes(ways: list[str], rounds: int, options: list[str]) -> dict[str, list[dict[str, float]]]:
    """Every way once a round, each in a process of its own."""
    found: dict[str, list[dict[str, float]]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name in ways:
            command = [sys.executable, __file__, "--one", name, *options]
            text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            found[name].append(json.loads(text))
    return found


def medians(rows: list[dict[str, float]]) -> dict[str, float]:
    """Of each figure over the rounds."""
    return {key: median(row[key] for row in rows) for key in rows[0]}


def table(found: dict[str, list[dict[str, float]]]) -> Table:
    """A row a way; ratios to the plain way are taken within each round."""
    out = Table(title="one training step of SAVE ViT-B")
    for heading in ("way", "frames", "frames/s", "ratio", "memory GB", "ratio", "GFLOP", "share of peak"):
        out.add_column(heading, justify="left" if heading == "way" else "right")
    plain = next((rows for name, rows in found.items() if WAYS[name].plain), None)
    for name, rows in found.items():
        row = medians(rows)
        speed = memory = ""
        if plain is not None and WAYS[name].batch is None:
            pairs = list(zip(plain, rows, strict=True))
            speed = f"{median(p['step_s'] / r['step_s'] for p, r in pairs):.2f}"
            memory = f"{median(r['memory'] / p['memory'] for p, r in pairs):.2f}"
        share = row["flops"] / row["step_s"] / row["peak_flops_per_s"]
        cells = (f"{row['frames']:.0f}", f"{row['frames'] / row['step_s']:.2f}", speed)
        cells += (f"{row['memory'] / GB:.2f}", memory, f"{row['flops'] / GB:.0f}", f"{share:.0%}")
        out.add_row(name, *cells)
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--clips", type=int, default=4, help="clips a step")
    parser.add_argument("--frames", type=int, default=5, help="annotated frames a clip")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--device", default="cpu")
    parser.add_argument(
        "--clock", choices=list(CLOCKS), default="wall", help="processor: beside other work, on one thread"
    )
    parser.add_argument("--ways", nargs="+", choices=list(WAYS), default=list(WAYS))
    parser.add_argument("--json", type=Path, help="where the figures of every process go")
    parser.add_argument("--quality", action="store_true", help="compare validation losses instead")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--one", choices=list(WAYS), help=argparse.SUPPRESS)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    if given.one:
        way, frames = WAYS[given.one], given.clips * given.frames
        print(json.dumps(measure(way, frames, torch.device(given.device), CLOCKS[given.clock])))
        return
    if given.quality:
        from training_quality import compare

        Console().print(compare(given.seeds, given.steps))
        return
    shared = ("clips", "frames", "threads", "device", "clock")
    options = [word for name in shared for word in (f"--{name}", str(getattr(given, name)))]
    found = in_processes(given.ways, given.rounds, options)
    if given.json:
        given.json.write_text(json.dumps(found, indent=1) + "\n")
    Console().print(
        table(found),
        f"torch {torch.__version__}, {given.threads} threads, {given.device}, random weights, "
        f"medians of {given.rounds} rounds, {given.clock} time",
    )


if __name__ == "__main__":
    main()
