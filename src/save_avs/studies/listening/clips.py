"""Clips of a data set under other sounds than their own.

What should be marked under another clip's sound is known of the clip's own objects alone: not them, since the
other clip is of none of their classes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from save_avs.data.clipset import AudibleClips
from save_avs.data.waves import beneath, levelled, shifted
from save_avs.studies.listening import trials as kinds
from save_avs.studies.listening.trials import Item, Trial
from save_avs.types import F32

SHIFTS_S = (0.0, 0.5, 1.0, 2.0, 3.0)
RATIOS_DB = (20.0, 10.0, 0.0, -10.0)
_STILL_HEARD = {kinds.MATCHED, kinds.MIXED}  # what sounds in the clip itself is what should be marked


def clip_trials(clips: AudibleClips, *, seed: int) -> Iterator[list[Trial]]:
    """Every annotated frame in which something sounds, under many sounds; its trials together.

    The other clip is drawn from (seed, index) among those of another source that share no category; where the
    data set names no categories, it may by chance be of the same.

    Raises:
        DataError: a file is missing or broken; the line names it.
    """
    for i in range(len(clips)):
        sample, facts = clips[i], clips.facts(i)
        kept = [k for k in np.flatnonzero(sample.has_mask & sample.valid) if sample.masks[k].any()]
        heard = list(_sounds(clips, i, seed)) if kept else []
        patches = [clips.read(i, wave=sound.wave).patches for sound in heard]
        for k in kept:
            item = Item(f"{facts.name}-{k}", facts.source, facts.categories)
            truth = sample.masks[k]
            yield [
                Trial(
                    item,
                    sound.condition,
                    sound.level,
                    sample.frames[k],
                    patch[k],
                    truth,
                    truth if sound.condition in _STILL_HEARD else None,
                    sound.words,
                )
                for sound, patch in zip(heard, patches, strict=True)
            ]


class _Sound(NamedTuple):
    condition: str
    level: float
    wave: F32
    words: str = ""


def _sounds(clips: AudibleClips, i: int, seed: int) -> Iterator[_Sound]:
    """What a clip is heard with; its own sound first."""
    own, facts = clips.wave(i), clips.facts(i)
    yield _Sound(kinds.MATCHED, 0.0, own, ", ".join(facts.categories))
    yield _Sound(kinds.MUTED, 0.0, np.zeros_like(own))
    for shift in SHIFTS_S:
        yield _Sound(kinds.SHIFTED, shift, shifted(own, round(shift * clips.rate)))
    place = _another(clips, i, np.random.default_rng((seed, i)))
    if place is None:
        return
    other, words = clips.wave(place), ", ".join(clips.facts(place).categories)
    yield _Sound(kinds.OTHER_CLIP, 0.0, levelled(other, own), words)
    for db in RATIOS_DB:
        yield _Sound(kinds.MIXED, db, beneath(own, other, db), words)


def _another(clips: AudibleClips, i: int, rng: np.random.Generator) -> int | None:
    """A clip that is of none of a clip's classes, as far as the data set says; None where there is none."""
    own = clips.facts(i)
    for place in rng.permutation(len(clips)).tolist():
        facts = clips.facts(place)
        if facts.source != own.source and not set(facts.categories) & set(own.categories):
            return place
    return None
