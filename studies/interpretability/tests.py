"""What the rank correlations of claims and changes say, with their intervals."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from save_avs.metrics.bootstrap import Estimate, bootstrap_mean
from save_avs.types import F64
from studies.interpretability.faithfulness import AVERAGE, TAKEN_OUT, Faithfulness, rank_correlation

RESAMPLES = 500
STRONG = 0.5  # rank correlation from which on a claim is said to hold

CLAIMS = {
    "whole": "norm of the injection over the tokens'",
    "own": "the same, of what it has beside the average sound's",
}


class Verdict(NamedTuple):
    """A claim beside a measurement.

    Attributes:
        claim: what the picture says.
        change: what was done to check it.
        over: what is ranked.
        rho: Spearman's rank correlation with its 95 % interval over scenes.
    """

    claim: str
    change: str
    over: str
    rho: Estimate

    @property
    def words(self) -> str:
        """What that means."""
        if self.rho.count == 0:
            return "cannot be said"
        if self.rho.low >= STRONG:
            return "holds"
        if self.rho.low > 0:
            return "holds weakly"
        return "is the contrary of what happens" if self.rho.high < 0 else "does not hold"


def verdicts(found: Faithfulness, *, seed: int) -> list[Verdict]:
    """Every claim beside every way to check it."""
    rows = []
    claims = CLAIMS if len(found.blocks) > 1 else {}  # nothing to rank in a single block
    for name, claim in claims.items():
        claimed: F64 = getattr(found.claims, name)
        for how in (TAKEN_OUT, AVERAGE):
            changed = found.mask_changes(how)
            among = bootstrap_mean(
                [rank_correlation(a, b) for a, b in zip(claimed, changed, strict=True)], seed=seed
            )
            rows.append(Verdict(claim, how, "blocks of a scene", among))
            rows.append(Verdict(claim, how, "scenes, block by block", _over_scenes(claimed, changed, seed)))
    for layer, rhos in found.attention.items():
        claim = f"prompt's attention, {layer}"
        rows.append(Verdict(claim, "prompt taken out", "cells of a scene", bootstrap_mean(rhos, seed=seed)))
    return rows


def _over_scenes(claimed: F64, changed: F64, seed: int) -> Estimate:
    """Rank correlation over scenes, averaged over blocks, [N,blocks] each; scenes are drawn anew."""
    scenes = len(claimed)
    rng = np.random.default_rng(seed)
    drawn = [
        _mean_correlation(claimed[rows], changed[rows])
        for rows in rng.integers(scenes, size=(RESAMPLES, scenes))
    ]
    low, high = np.nanpercentile(drawn, [2.5, 97.5])
    return Estimate(_mean_correlation(claimed, changed), float(low), float(high), scenes)


def _mean_correlation(claimed: F64, changed: F64) -> float:
    rhos = np.array([rank_correlation(a, b) for a, b in zip(claimed.T, changed.T, strict=True)])
    return float(np.nanmean(rhos)) if not np.isnan(rhos).all() else float("nan")
