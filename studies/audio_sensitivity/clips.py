"""Clips of a data set under other sounds than their own.

What should be marked under another clip's sound is known of the clip's own objects alone: not them, since the
other clip is of none of their classes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from save_avs.audio.augment import match_rms, mix_at_snr, time_shift
from save_avs.datasets.base import WaveformDataset
from save_avs.types import F32
from studies.audio_sensitivity import trials as kinds
from studies.audio_sensitivity.trials import Item, Trial

SHIFTS_S = (0.0, 0.5, 1.0, 2.0, 3.0)
RATIOS_DB = (20.0, 10.0, 0.0, -10.0)
_STILL_HEARD = {kinds.MATCHED, kinds.MIXED}  # what sounds in the clip itself is what should be marked


def clip_trials(clips: WaveformDataset, *, seed: int) -> Iterator[list[Trial]]:
    """Every annotated frame in which something sounds, under many sounds; its trials together.

    The other clip is drawn from (seed, index) among those of another source that share no category; where the
    data set names no categories, it may by chance be of the same.

    Raises:
        DataError: a file is missing or broken; the line names it.
    """
    for i in range(len(clips)):
        sample, metadata = clips[i], clips.metadata(i)
        kept = [k for k in np.flatnonzero(sample.has_mask & sample.valid) if sample.masks[k].any()]
        heard = list(_sounds(clips, i, seed)) if kept else []
        log_mel = [clips.read(i, waveform=sound.waveform).log_mel for sound in heard]
        for k in kept:
            item = Item(f"{metadata.name}-{k}", metadata.source, metadata.categories)
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
                for sound, patch in zip(heard, log_mel, strict=True)
            ]


class _Sound(NamedTuple):
    condition: str
    level: float
    waveform: F32
    words: str = ""


def _sounds(clips: WaveformDataset, i: int, seed: int) -> Iterator[_Sound]:
    """What a clip is heard with; its own sound first."""
    own, metadata = clips.waveform(i), clips.metadata(i)
    yield _Sound(kinds.MATCHED, 0.0, own, ", ".join(metadata.categories))
    yield _Sound(kinds.MUTED, 0.0, np.zeros_like(own))
    for shift in SHIFTS_S:
        yield _Sound(kinds.SHIFTED, shift, time_shift(own, round(shift * clips.sample_rate)))
    place = _another(clips, i, np.random.default_rng((seed, i)))
    if place is None:
        return
    other, words = clips.waveform(place), ", ".join(clips.metadata(place).categories)
    yield _Sound(kinds.OTHER_CLIP, 0.0, match_rms(other, own), words)
    for db in RATIOS_DB:
        yield _Sound(kinds.MIXED, db, mix_at_snr(own, other, db), words)


def _another(clips: WaveformDataset, i: int, rng: np.random.Generator) -> int | None:
    """A clip that is of none of a clip's classes, as far as the data set says; None where there is none."""
    own = clips.metadata(i)
    for place in rng.permutation(len(clips)).tolist():
        metadata = clips.metadata(place)
        if metadata.source != own.source and not set(metadata.categories) & set(own.categories):
            return place
    return None
