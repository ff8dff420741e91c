"""Clips of a data set under other sounds than their own.

What should be marked under another clip's sound is known of the clip's own objects alone: not them, since the
other clip is of none of their classes.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from save_avs.audio.log_mel import SAMPLE_RATE
from save_avs.data.clipset import AudibleClips
from save_avs.data.waves import beneath, levelled, shifted
from save_avs.studies.listening import trials as kinds
from save_avs.studies.listening.trials import Item, Trial
from save_avs.types import F32, AVSample

SHIFTS_S = (0.0, 0.5, 1.0, 2.0, 3.0)
RATIOS_DB = (20.0, 10.0, 0.0, -10.0)


def clip_trials(clips: AudibleClips, *, seed: int) -> Iterator[list[Trial]]:
    """Every annotated frame in which something sounds, a clip's frames together under one sound after another.

    The other clip is drawn from (seed, index) among those of another source that share no category; where the
    data set names no categories, it may by chance be of the same.

    Raises:
        DataError: a file is missing or broken; the line names it.
    """
    for i in range(len(clips)):
        sample = clips[i]
        own = clips.wave(i)
        yield from _heard_as(clips, i, sample, kinds.MATCHED, 0.0, own, known=True)
        yield from _heard_as(clips, i, sample, kinds.MUTED, 0.0, np.zeros_like(own), known=False)
        for shift in SHIFTS_S:
            moved = shifted(own, round(shift * SAMPLE_RATE))
            yield from _heard_as(clips, i, sample, kinds.SHIFTED, shift, moved, known=False)
        place = _another(clips, i, np.random.default_rng((seed, i)))
        if place is None:
            continue
        other = clips.wave(place)
        yield from _heard_as(clips, i, sample, kinds.OTHER_CLIP, 0.0, levelled(other, own), known=False)
        for db in RATIOS_DB:
            yield from _heard_as(clips, i, sample, kinds.MIXED, db, beneath(own, other, db), known=True)


def _heard_as(
    clips: AudibleClips, i: int, sample: AVSample, condition: str, level: float, wave: F32, *, known: bool
) -> Iterator[list[Trial]]:
    """The frames of a clip under one sound; ``known``: its own objects are what should be marked then."""
    patches = clips.read(i, wave=wave).patches
    facts = clips.facts(i)
    asked = [
        Trial(
            Item(f"{facts.name}-{k}", facts.source, facts.categories),
            condition,
            level,
            sample.frames[k],
            patches[k],
            sample.masks[k],
            sample.masks[k] if known else None,
        )
        for k in np.flatnonzero(sample.has_mask & sample.valid)
        if sample.masks[k].any()
    ]
    if asked:
        yield asked


def _another(clips: AudibleClips, i: int, rng: np.random.Generator) -> int | None:
    """A clip that is of none of a clip's classes, as far as the data set says; None where there is none."""
    own = clips.facts(i)
    for place in rng.permutation(len(clips)).tolist():
        facts = clips.facts(place)
        if facts.source != own.source and not set(facts.categories) & set(own.categories):
            return place
    return None
