"""The order in which the clips of a data set come: each epoch its own, none of it remembered."""

from __future__ import annotations

import numpy as np


class EpochShuffle:
    """Item i of an endless row of epochs, each a permutation drawn from (seed, epoch) alone.

    A run that resumes at any step therefore sees the items it would have seen. Epochs follow one another
    without a gap: a batch may hold the end of one and the beginning of the next, and no clip is left out.

    Args:
        clips: in an epoch.
        seed: of the recipe's stage.

    Raises:
        ValueError: without a clip.
    """

    def __init__(self, clips: int, seed: int) -> None:
        if clips < 1:
            raise ValueError("an epoch needs at least one clip")
        self.clips, self.seed = clips, seed
        self._drawn: tuple[int, np.ndarray] | None = None

    def __getitem__(self, i: int) -> tuple[int, int]:
        """The epoch of the clip that comes i-th, and its index in the data set."""
        epoch, place = divmod(i, self.clips)
        if self._drawn is None or self._drawn[0] != epoch:
            rng = np.random.default_rng((self.seed, epoch))
            self._drawn = epoch, rng.permutation(self.clips)
        return epoch, int(self._drawn[1][place])
