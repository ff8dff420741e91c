"""SAM's image encoder beside transformers': milliseconds a frame, and how near the processor's limit.

    python benchmarks/encoder.py [--quick] [--preset vit_b] [--size 256] [--threads N]

Each pair is timed in turns, so that both meet the same machine; the peak is the fastest matrix product of the
same run at the size and layout of the encoder's own linear layers.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from statistics import median

import torch
from rich.console import Console
from rich.table import Table
from torch import nn
from torch.nn import functional as F

from save_avs.sam import PRESETS, SamShape, build_sam


def transformers_encoder(shape: SamShape) -> nn.Module:
    """transformers' encoder of the same sizes."""
    from transformers import SamVisionConfig
    from transformers.models.sam.modeling_sam import SamVisionEncoder

    config = SamVisionConfig(
        hidden_size=shape.embed_dim,
        output_channels=shape.prompt_dim,
        num_hidden_layers=shape.depth,
        num_attention_heads=shape.heads,
        image_size=shape.image_size,
        patch_size=shape.patch_size,
        mlp_dim=int(shape.embed_dim * shape.mlp_ratio),
        window_size=shape.window,
        global_attn_indexes=list(shape.global_blocks),
    )
    config._attn_implementation = "eager"
    return SamVisionEncoder(config).eval()


def in_turns(runs: list[Callable[[], object]], rounds: int) -> list[float]:
    """Median seconds of each run, all of them once a round, after a round that does not count."""
    seconds: list[list[float]] = [[] for _ in runs]
    for counted in [False] + [True] * rounds:
        for run, taken in zip(runs, seconds, strict=True):
            start = time.perf_counter()
            run()
            if counted:
                taken.append(time.perf_counter() - start)
    return [median(taken) for taken in seconds]


def matmul_peak(dtype: torch.dtype, shape: SamShape) -> float:
    """FLOP/s of the encoder's widest linear layer on 2048 tokens, the best of 30."""
    wide = int(shape.embed_dim * shape.mlp_ratio)
    x, w = torch.randn(2048, shape.embed_dim, dtype=dtype), torch.randn(wide, shape.embed_dim, dtype=dtype)
    best = float("inf")
    for _ in range(30):
        start = time.perf_counter()
        F.linear(x, w)
        best = min(best, time.perf_counter() - start)
    return 2 * 2048 * shape.embed_dim * wide / best


def frame_flops(encoder: nn.Module, shape: SamShape) -> int:
    """Operations of one frame: every matrix product and convolution that is computed."""
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        encoder(torch.zeros(1, 3, shape.image_size, shape.image_size))
    return counter.get_total_flops()


def measure(shape: SamShape, batches: list[int], rounds: int) -> Table:
    """Time both encoders in both precisions."""
    ours, theirs = build_sam(shape).image_encoder.eval(), transformers_encoder(shape)
    flops = frame_flops(ours, shape)
    table = Table(title=f"image encoder, {shape.image_size} px, {flops / 1e9:.1f} GFLOP a frame")
    for heading in (
        "precision",
        "batch",
        "ours ms",
        "transformers ms",
        "ratio",
        "peak GFLOP/s",
        "share of peak",
    ):
        table.add_column(heading, justify="right")
    for dtype in (torch.float32, torch.bfloat16):
        ours, theirs = ours.to(dtype), theirs.to(dtype)
        peak = matmul_peak(dtype, shape)
        for batch in batches:
            x = torch.randn(batch, 3, shape.image_size, shape.image_size, dtype=dtype)
            a, b = in_turns([partial(ours, x), partial(theirs, x)], rounds)
            row = (1e3 * a / batch, 1e3 * b / batch, b / a, peak / 1e9, flops * batch / a / peak)
            cells = zip(("{:.1f}", "{:.1f}", "{:.2f}", "{:.0f}", "{:.0%}"), row, strict=True)
            table.add_row(
                str(dtype).split(".")[1], str(batch), *(form.format(value) for form, value in cells)
            )
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="3 rounds instead of 15")
    parser.add_argument("--preset", choices=list(PRESETS), default="vit_b")
    parser.add_argument("--size", type=int, default=256, help="side of the image, pixels")
    parser.add_argument("--threads", type=int, help="processor threads")
    given = parser.parse_args()
    if given.threads:
        torch.set_num_threads(given.threads)
    shape = replace(PRESETS[given.preset], image_size=given.size)
    with torch.inference_mode():
        table = measure(shape, [1, 8], 3 if given.quick else 15)
    Console().print(
        table, f"torch {torch.__version__}, {torch.get_num_threads()} threads, random weights, medians"
    )


if __name__ == "__main__":
    main()
