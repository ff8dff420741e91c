"""The benchmark's F-score beside its published loop, and the metrics of a whole evaluation.

    python benchmarks/metrics.py [--clips 740] [--rounds 5] [--threads N]

740 clips of five frames at 224 px are AVSBench's S4 test split. Masks are smooth random ones: what is counted
does not change the time.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from statistics import median

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor
from torch.nn import functional as F

from save_avs.metrics import PROTOCOLS, MaskMetric, frame_f_curves

SIDE, FRAMES = 224, 5
BETA2 = 0.3
REPEATS = 20  # of what takes too little time to be measured once


def frames(seed: int) -> tuple[Tensor, Tensor]:
    """Logits f32 and truth bool of a clip, [5,224,224]: they overlap, as a fair model's do."""
    draw = torch.Generator().manual_seed(seed)
    coarse = torch.randn(2, FRAMES, 8, 8, generator=draw)
    smooth = F.interpolate(coarse, size=(SIDE, SIDE), mode="bicubic")
    return 4 * (smooth[0] + smooth[1]) - 2, smooth[1] > 0.3


def published_loop(probs: Tensor, targets: Tensor) -> Tensor:
    """F at 255 thresholds, f64 [B,255], frame by frame and threshold by threshold as in AVSBench's code."""
    thresholds = torch.linspace(0, 1 - 1e-10, 255)
    curves = torch.zeros(len(probs), 255, dtype=torch.float64)
    for frame, (mask, truth) in enumerate(zip(probs, targets.float(), strict=True)):
        for i in range(255):
            marked = (mask >= thresholds[i]).float()
            hits = (marked * truth).sum()
            precision, recall = hits / (marked.sum() + 1e-20), hits / (truth.sum() + 1e-20)
            curves[frame, i] = (1 + BETA2) * precision * recall / (BETA2 * precision + recall)
    return curves.nan_to_num(0.0)


def seconds(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def f_scores(rounds: int) -> tuple[float, float, float]:
    """Milliseconds a frame of ours and of the published loop, in turns, and their largest difference."""
    logits, targets = frames(0)
    probs = logits.sigmoid()
    ours, theirs = [], []
    for _ in range(rounds):
        ours.append(seconds(lambda: [frame_f_curves(probs, targets) for _ in range(REPEATS)]) / REPEATS)
        theirs.append(seconds(lambda: published_loop(probs, targets)))
    apart = (frame_f_curves(probs, targets) - published_loop(probs, targets)).abs().max().item()
    return 1e3 * median(ours) / FRAMES, 1e3 * median(theirs) / FRAMES, apart


def evaluation(clips: int) -> float:
    """Seconds for the metrics of a whole test split: mean IoU and F, updated clip by clip."""
    protocol = PROTOCOLS["official"]
    metric, spent = MaskMetric(protocol.scoring), 0.0
    for clip in range(clips):
        logits, targets = frames(clip)
        spent += seconds(lambda i=clip, x=logits, y=targets: metric.update(x, y, [i] * FRAMES, range(FRAMES)))
    return spent + seconds(lambda: metric.compute(protocol))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--clips", type=int, default=740)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1, help="processor threads")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    ours, theirs, apart = f_scores(given.rounds)
    whole = evaluation(given.clips)
    table = Table(title=f"metrics, {SIDE} px")
    for heading in ("what", "ours", "published loop", "ratio", "largest difference"):
        table.add_column(heading, justify="left" if heading == "what" else "right")
    table.add_row(
        "F curve, ms a frame", f"{ours:.2f}", f"{theirs:.1f}", f"{theirs / ours:.0f}", f"{apart:.0e}"
    )
    table.add_row(f"mean IoU and F of {given.clips} clips x {FRAMES} frames, s", f"{whole:.2f}", "", "", "")
    load = os.getloadavg()[0]
    Console(width=110).print(
        table, f"torch {torch.__version__}, {torch.get_num_threads()} threads, load {load:.1f}, medians"
    )


if __name__ == "__main__":
    main()
