"""The listening score: the share of a model's fit that it owes to hearing the right sound.

    listening = 1 - W / M, cut to 0..1; 0 where M is 0

over frames in which something sounds: M is the mean IoU of the mask with what sounds, under the right sound;
W the mean IoU of the mask with the same pixels, under a wrong sound, of something else. A model that does
not hear gives one mask under both and scores exactly 0, however good the mask; one that leaves the object
wholly when its sound is gone scores 1. A factor on all IoUs changes nothing, so M stands beside the score,
not in it. docs/guides/evaluation.md says what the score is blind to.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from save_avs.evaluation.bootstrap import (
    RESAMPLES,
    Difference,
    Score,
    draw_clusters,
    paired_difference,
    score_with_interval,
)
from save_avs.metrics.mask_metrics import clip_draw_counts
from save_avs.types import F64, I64, Bool


@dataclass(frozen=True)
class SoundSwapScores:
    """Frames, each asked about twice.

    Attributes:
        right: IoU of the mask under the right sound with the pixels that sound, f64 [N].
        wrong: IoU of the mask under a wrong sound with the same pixels, f64 [N].
        sources: what each frame was taken from, N names: frames of one source are drawn together.

    Raises:
        ValueError: when their lengths differ.
    """

    right: F64
    wrong: F64
    sources: tuple[str, ...]

    def __post_init__(self) -> None:
        """Check that every frame has both."""
        if not len(self.right) == len(self.wrong) == len(self.sources):
            raise ValueError("every frame needs an IoU under each of the two sounds, and a source")

    def __len__(self) -> int:
        return len(self.right)

    def take(self, kept: Bool) -> SoundSwapScores:
        """Some of the frames, by a mask [N]."""
        sources = tuple(s for s, keep in zip(self.sources, kept, strict=True) if keep)
        return SoundSwapScores(self.right[kept], self.wrong[kept], sources)

    def score(self, rows: I64) -> F64:
        """The listening score of each row of frames, [R,N] as `draw_clusters` gives them, to [R]."""
        weights = clip_draw_counts(rows, len(self))
        fit, kept = weights @ self.right, weights @ self.wrong
        with np.errstate(invalid="ignore", divide="ignore"):
            lost = 1 - kept / fit
        return np.where(fit > 0, np.clip(lost, 0, 1), 0.0)


def listening_score(hearings: SoundSwapScores, *, seed: int = 0, resamples: int = RESAMPLES) -> Score:
    """The score of all frames with its 95 % interval over sources; NaN without a frame."""
    if not len(hearings):
        return Score(float("nan"), float("nan"), float("nan"))
    draws = draw_clusters(hearings.sources, resamples, seed)
    return score_with_interval(hearings.score, hearings.sources, draws)


def listening_difference(
    first: SoundSwapScores, second: SoundSwapScores, *, seed: int = 0, resamples: int = RESAMPLES
) -> Difference:
    """How much better the second model listens than the first, on the same frames; see `paired_difference`.

    Raises:
        ValueError: when the frames are not the same.
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
