"""The protocols from their formulas, in plain numpy: one frame, one threshold, one batch after another."""

from __future__ import annotations

import numpy as np

BETA2 = 0.3
THRESHOLDS = np.linspace(0, 1 - 1e-10, 255).astype(np.float32)  # float32 as in the public code


def sigmoid(logits: np.ndarray) -> np.ndarray:
    return (1 / (1 + np.exp(-logits.astype(np.float64)))).astype(np.float32)


def frame_iou(mask: np.ndarray, truth: np.ndarray) -> float:
    if not truth.any():
        return (~mask & ~truth).sum() / (truth.size + 1e-7)
    return (mask & truth).sum() / ((mask | truth).sum() + 1e-7)


def frame_f(values: np.ndarray, truth: np.ndarray) -> np.ndarray:
    curve = []
    for threshold in THRESHOLDS:
        marked = values >= threshold
        hits = (marked & truth).sum()
        precision, recall = hits / (marked.sum() + 1e-20), hits / (truth.sum() + 1e-20)
        below = BETA2 * precision + recall
        curve.append((1 + BETA2) * precision * recall / below if below > 0 else 0.0)
    return np.array(curve)


def batch_scores(
    logits: list[np.ndarray], truths: list[np.ndarray], threshold: float, raw_f: bool
) -> tuple[float, float]:
    """Mean IoU and best F of frames that are scored together; 0 for F when nothing sounds in any."""
    pairs = list(zip(logits, truths, strict=True))
    miou = float(np.mean([frame_iou(sigmoid(x) > threshold, t) for x, t in pairs]))
    curves = [frame_f(x if raw_f else sigmoid(x), t) for x, t in pairs if t.any()]
    return miou, float(np.mean(curves, axis=0).max()) if curves else 0.0


def averaged(
    clips: list[tuple[np.ndarray, np.ndarray]], per_batch: int, *, threshold: float = 0.5, raw_f: bool = False
) -> tuple[float, float]:
    """Batches of clips scored by themselves, then averaged with equal weights."""
    scores = []
    for i in range(0, len(clips), per_batch):
        batch = clips[i : i + per_batch]
        logits, truths = [x for c in batch for x in c[0]], [t for c in batch for t in c[1]]
        scores.append(batch_scores(logits, truths, threshold, raw_f))
    return tuple(np.mean(scores, axis=0))


def pooled(clips: list[tuple[np.ndarray, np.ndarray]]) -> tuple[float, float]:
    """Hits and errors of both classes summed over all pixels, then the mean of the classes."""
    found = np.concatenate([sigmoid(x).ravel() > 0.5 for x, _ in clips])
    truth = np.concatenate([t.ravel() for _, t in clips])
    ious, scores = [], []
    for kind in (False, True):
        both, either = ((found == kind) & (truth == kind)).sum(), ((found == kind) | (truth == kind)).sum()
        ious.append(both / (either + np.spacing(1)))
        extra, missed = ((found == kind) & (truth != kind)).sum(), ((found != kind) & (truth == kind)).sum()
        if below := (1 + BETA2) * both + BETA2 * missed + extra:
            scores.append((1 + BETA2) * both / below)
    return float(np.mean(ious)), float(np.mean(scores))


def class_means(
    found: list[np.ndarray], truth: list[np.ndarray], classes: int
) -> tuple[list[float], list[float]]:
    """IoU and F of every class over label maps, one frame and one class after another."""
    ious, scores, frames = [0.0] * classes, [0.0] * classes, [0] * classes
    for guess, labels in zip(found, truth, strict=True):
        for k in range(classes):
            hits = ((guess == k) & (labels == k)).sum()
            either = ((guess == k) | (labels == k)).sum()
            if either == 0:
                continue
            frames[k] += 1
            ious[k] += hits / either
            if hits:  # else precision or recall is 0 / 0, or both are 0: NaN, which counts as 0
                precision, recall = hits / (guess == k).sum(), hits / (labels == k).sum()
                scores[k] += (1 + BETA2) * precision * recall / (BETA2 * precision + recall)
    means = [[s / n if n else 0.0 for s, n in zip(sums, frames, strict=True)] for sums in (ious, scores)]
    return means[0], means[1]
