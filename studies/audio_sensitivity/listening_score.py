"""The listening score: the share of a model's fit that depends on the right sound.

    listening = 1 - W / M, clipped to 0..1; 0 where M is 0

over frames with a sounding object: M is the mean IoU of the mask with the sounding pixels, under the right
sound; W the mean IoU of the mask with the same pixels, under a wrong sound, of something else. A model that
ignores sound gives one mask under both and scores exactly 0, however good the mask; one that leaves the
object completely when its sound is gone scores 1. A factor on all IoUs changes nothing, so M is reported next
to the score, not in it. docs/background/listening-score.md lists what the score does not measure.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from save_avs.metrics.bootstrap_and_permutation import (
    RESAMPLES,
    Difference,
    Estimate,
    draw_clusters,
    paired_difference,
    score_with_interval,
)
from save_avs.metrics.mask_metrics import clip_draw_counts
from save_avs.types import F64, I64


@dataclass(frozen=True)
class SoundSwapScores:
    """IoUs of N frames, each under its own sound and under a wrong one.

    Attributes:
        right: IoU of the mask under the right sound with the sounding pixels, f64 [N].
        wrong: IoU of the mask under a wrong sound with the same pixels, f64 [N].
        sources: the clip or scene of each frame, N names: frames of one source are drawn together.

    Raises:
        ValueError: their lengths differ.
    """

    right: F64
    wrong: F64
    sources: tuple[str, ...]

    def __post_init__(self) -> None:
        """Check the lengths."""
        if not len(self.right) == len(self.wrong) == len(self.sources):
            raise ValueError("every frame needs an IoU under each of the two sounds, and a source")

    def __len__(self) -> int:
        return len(self.right)

    def score(self, rows: I64) -> F64:
        """Return the listening score of each row of frames, [R,N] (`draw_clusters`) to [R]."""
        counts = clip_draw_counts(rows, len(self))
        right, wrong = counts @ self.right, counts @ self.wrong
        with np.errstate(invalid="ignore", divide="ignore"):
            lost = 1 - wrong / right
        return np.where(right > 0, np.clip(lost, 0, 1), 0.0)


def listening_score(scores: SoundSwapScores, *, seed: int = 0, resamples: int = RESAMPLES) -> Estimate:
    """Score all frames, with the 95 % interval over sources; NaN without frames."""
    if not len(scores):
        return Estimate(math.nan, math.nan, math.nan, 0)
    draws = draw_clusters(scores.sources, resamples, seed)
    return score_with_interval(scores.score, scores.sources, draws)


def listening_difference(
    first: SoundSwapScores, second: SoundSwapScores, *, seed: int = 0, resamples: int = RESAMPLES
) -> Difference:
    """Compare two models on the same frames by `paired_difference`; positive if the second listens better.

    Raises:
        ValueError: the frames are not the same.
    """
    if first.sources != second.sources:
        raise ValueError("models can only be compared on the same frames")
    joined = SoundSwapScores(
        np.concatenate([first.right, second.right]),
        np.concatenate([first.wrong, second.wrong]),
        first.sources + second.sources,
    )
    draws = draw_clusters(first.sources, resamples, seed)
    return paired_difference(joined.score, first.sources, draws, seed=seed)
