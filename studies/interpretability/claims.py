"""Tests of claims by ablations: rank correlations with their confidence intervals."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from save_avs.metrics.bootstrap_and_permutation import Estimate, bootstrap_mean
from save_avs.types import F64
from studies.interpretability.faithfulness import AVERAGED, REMOVED, Faithfulness, rank_correlation

RESAMPLES = 500
STRONG = 0.5  # rank correlation from which on a claim holds


class ClaimTest(NamedTuple):
    """A claim and its test.

    Attributes:
        claim: of an image.
        ablation: that tests it.
        ranked: over which values are ranked.
        rho: Spearman's rank correlation with its 95 % interval over scenes.
    """

    claim: str
    ablation: str
    ranked: str
    rho: Estimate

    @property
    def verdict(self) -> str:
        """Verdict in words."""
        if self.rho.count == 0:
            return "cannot be tested"
        if self.rho.low >= STRONG:
            return "holds"
        if self.rho.low > 0:
            return "holds weakly"
        return "is contradicted" if self.rho.high < 0 else "does not hold"


def check_claims(found: Faithfulness, *, seed: int) -> list[ClaimTest]:
    """Test every claim by every ablation."""
    tests = []
    claims = {
        "norm of the injection, relative to the tokens": found.norms,
        "norm of its difference from the average sound's": found.own_norms,
    }
    for claim, norms in claims.items() if len(found.blocks) > 1 else ():  # one block cannot be ranked
        for kind in (REMOVED, AVERAGED):
            changes = found.mask_changes(kind)
            rhos = [rank_correlation(a, b) for a, b in zip(norms, changes, strict=True)]
            tests.append(ClaimTest(claim, kind, "blocks of a scene", bootstrap_mean(rhos, seed=seed)))
            over_scenes = _rho_over_scenes(norms, changes, seed)
            tests.append(ClaimTest(claim, kind, "scenes, block by block", over_scenes))
    for layer, rhos in found.attention.items():
        claim = f"prompt's attention, {layer}"
        tests.append(ClaimTest(claim, "prompt removed", "cells of a scene", bootstrap_mean(rhos, seed=seed)))
    return tests


def _rho_over_scenes(norms: F64, changes: F64, seed: int) -> Estimate:
    """Rank correlation over scenes, averaged over blocks, of [N,blocks] each."""
    scenes = len(norms)
    rng = np.random.default_rng(seed)
    drawn = [
        _mean_correlation(norms[rows], changes[rows])
        for rows in rng.integers(scenes, size=(RESAMPLES, scenes))
    ]
    low, high = np.nanpercentile(drawn, [2.5, 97.5])
    return Estimate(_mean_correlation(norms, changes), float(low), float(high), scenes)


def _mean_correlation(norms: F64, changes: F64) -> float:
    rhos = np.array([rank_correlation(a, b) for a, b in zip(norms.T, changes.T, strict=True)])
    return float(np.nanmean(rhos)) if not np.isnan(rhos).all() else float("nan")
