"""F-score against the loop of AVSBench's code, and the metrics of a whole evaluation.

    python benchmarks/metrics.py [--clips 740] [--rounds 5] [--threads N]

AVSBench's S4 test split has 740 clips of five frames at 224 px. Masks are smooth random ones; the time does
not depend on them.
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

from save_avs.metrics.frame_scores import frame_f_curves
from save_avs.metrics.mask_metrics import MaskMetric
from save_avs.metrics.protocols import PROTOCOLS

SIDE, FRAMES = 224, 5
BETA2 = 0.3
REPEATS = 20  # calls per measurement of the fast implementation


def random_clip(seed: int) -> tuple[Tensor, Tensor]:
    """Return logits f32 and targets bool of a clip, [5,224,224], overlapping as those of a trained model."""
    rng = torch.Generator().manual_seed(seed)
    coarse = torch.randn(2, FRAMES, 8, 8, generator=rng)
    smooth = F.interpolate(coarse, size=(SIDE, SIDE), mode="bicubic")
    return 4 * (smooth[0] + smooth[1]) - 2, smooth[1] > 0.3


def reference_f_curves(probs: Tensor, targets: Tensor) -> Tensor:
    """Return F at 255 thresholds, f64 [B,255], by AVSBench's loop over frames and thresholds."""
    thresholds = torch.linspace(0, 1 - 1e-10, 255)
    curves = torch.zeros(len(probs), 255, dtype=torch.float64)
    for frame, (prob, target) in enumerate(zip(probs, targets.float(), strict=True)):
        for i in range(255):
            predicted = (prob >= thresholds[i]).float()
            true_positives = (predicted * target).sum()
            precision = true_positives / (predicted.sum() + 1e-20)
            recall = true_positives / (target.sum() + 1e-20)
            curves[frame, i] = (1 + BETA2) * precision * recall / (BETA2 * precision + recall)
    return curves.nan_to_num(0.0)


def time_call(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def compare_f_scores(rounds: int) -> tuple[float, float, float]:
    """Return ms per frame of ours and of the reference, timed alternately, and their largest difference."""
    logits, targets = random_clip(0)
    probs = logits.sigmoid()
    ours, reference = [], []
    for _ in range(rounds):
        ours.append(time_call(lambda: [frame_f_curves(probs, targets) for _ in range(REPEATS)]) / REPEATS)
        reference.append(time_call(lambda: reference_f_curves(probs, targets)))
    difference = (frame_f_curves(probs, targets) - reference_f_curves(probs, targets)).abs().max().item()
    return 1e3 * median(ours) / FRAMES, 1e3 * median(reference) / FRAMES, difference


def time_evaluation(clips: int) -> float:
    """Return the seconds for mean IoU and F of a whole test split, updated clip by clip."""
    protocol = PROTOCOLS["official"]
    metric, seconds = MaskMetric(protocol.scoring), 0.0
    for clip in range(clips):
        logits, targets = random_clip(clip)
        seconds += time_call(
            lambda i=clip, x=logits, y=targets: metric.update(x, y, [i] * FRAMES, range(FRAMES))
        )
    return seconds + time_call(lambda: metric.compute(protocol))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--clips", type=int, default=740)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1, help="CPU threads")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    ours, reference, difference = compare_f_scores(args.rounds)
    total = time_evaluation(args.clips)
    table = Table(title=f"metrics, {SIDE} px")
    for heading in ("metric", "ours", "AVSBench's loop", "ratio", "largest difference"):
        table.add_column(heading, justify="left" if heading == "metric" else "right")
    table.add_row(
        "F curve, ms per frame",
        f"{ours:.2f}",
        f"{reference:.1f}",
        f"{reference / ours:.0f}",
        f"{difference:.0e}",
    )
    table.add_row(f"mean IoU and F of {args.clips} clips x {FRAMES} frames, s", f"{total:.2f}", "", "", "")
    load = os.getloadavg()[0]
    Console(width=110).print(
        table, f"torch {torch.__version__}, {torch.get_num_threads()} threads, load {load:.1f}, medians"
    )


if __name__ == "__main__":
    main()
