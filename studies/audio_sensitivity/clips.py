"""Trials on the clips of a dataset.

Under another clip's sound, all that is known is that the clip's own objects should not be marked, as the
other clip has none of their classes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from save_avs.audio.augment import match_rms, mix_at_snr
from save_avs.datasets.image_and_video_clips import ClipDataset
from save_avs.types import F32
from studies.audio_sensitivity import trials as conditions
from studies.audio_sensitivity.trials import SensitivityTrial, TestFrame

SHIFTS_S = (0.0, 0.5, 1.0, 2.0, 3.0)
SNRS_DB = (20.0, 10.0, 0.0, -10.0)
_OWN_TARGET = {conditions.MATCHED, conditions.MIXED}  # under which the clip's own objects should be marked


class _Sound(NamedTuple):
    condition: str
    level: float
    waveform: F32
    description: str = ""


def clip_trials(clips: ClipDataset, *, seed: int) -> Iterator[list[SensitivityTrial]]:
    """Yield the trials of each annotated frame with a sounding object.

    The other clip is drawn from (seed, index) among those of another source and without a shared category; if
    the dataset has no categories, it may have the same class by chance.

    Raises:
        DataError: a file is missing or broken; the message names it.
    """
    for i in range(len(clips)):
        sample, metadata = clips[i], clips.metadata(i)
        kept = [k for k in np.flatnonzero(sample.has_mask & sample.valid) if sample.masks[k].any()]
        sounds = list(_sounds(clips, i, seed)) if kept else []
        log_mels = [clips.read(i, waveform=sound.waveform).log_mel for sound in sounds]
        for k in kept:
            frame = TestFrame(f"{metadata.name}-{k}", metadata.source, metadata.categories)
            target = sample.masks[k]
            yield [
                SensitivityTrial(
                    frame,
                    sound.condition,
                    sound.level,
                    sample.frames[k],
                    log_mel[k],
                    target,
                    target if sound.condition in _OWN_TARGET else None,
                    sound.description,
                )
                for sound, log_mel in zip(sounds, log_mels, strict=True)
            ]


def _sounds(clips: ClipDataset, i: int, seed: int) -> Iterator[_Sound]:
    """Yield the sounds for a clip, its own first."""
    own, metadata = clips.waveform(i), clips.metadata(i)
    yield _Sound(conditions.MATCHED, 0.0, own, ", ".join(metadata.categories))
    yield _Sound(conditions.MUTED, 0.0, np.zeros_like(own))
    for shift in SHIFTS_S:
        yield _Sound(conditions.SHIFTED, shift, np.roll(own, round(shift * clips.sample_rate)))
    k = _other_clip(clips, i, np.random.default_rng((seed, i)))
    if k is None:
        return
    other, description = clips.waveform(k), ", ".join(clips.metadata(k).categories)
    yield _Sound(conditions.OTHER_CLIP, 0.0, match_rms(other, own), description)
    for db in SNRS_DB:
        yield _Sound(conditions.MIXED, db, mix_at_snr(own, other, db), description)


def _other_clip(clips: ClipDataset, i: int, rng: np.random.Generator) -> int | None:
    """Index of a random clip of another source without a shared category; None if there is none."""
    own = clips.metadata(i)
    for k in rng.permutation(len(clips)).tolist():
        other = clips.metadata(k)
        if other.source != own.source and not set(other.categories) & set(own.categories):
            return k
    return None
