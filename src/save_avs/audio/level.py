"""Level of a sound: measured block by block, and the gain that makes a quiet sound as loud as others."""

import numpy as np

from save_avs.types import F32

# All in dBFS. In the bundled sample (at -16) 25 frames have a mask; at -41 22, at -46 18, at -56 13.
QUIET = -45.0
SILENT = -80.0  # below the noise of microphones, above that of rounding to 16 bits
TARGET = -20.0  # common in published recordings; leaves headroom for peaks

_BLOCK = 0.4  # seconds, as in ITU-R BS.1770
_RANGE = 20.0  # dB below the loudest block, in which blocks count: pauses do not


class LevelMeter:
    """Measures the level of a mono waveform: the RMS of its blocks of 0.4 s within 20 dB of the loudest.

    A click, or pauses, hardly change it, as they would change the peak or the RMS of the whole.
    """

    def __init__(self, sample_rate: int) -> None:
        self._block = round(_BLOCK * sample_rate)
        self._rest = np.zeros(0, np.float32)
        self._powers: list[float] = []

    def add(self, samples: F32) -> None:
        """Add the samples that follow, f32 [S]."""
        samples = np.concatenate([self._rest, samples])
        whole = len(samples) // self._block * self._block
        self._powers += np.square(samples[:whole].reshape(-1, self._block)).mean(axis=1).tolist()
        self._rest = samples[whole:]

    @property
    def level(self) -> float:
        """The level so far, dBFS; minus infinity where there is no sound."""
        rest = [float(np.square(self._rest).mean())] if len(self._rest) else []
        powers = np.array(self._powers or rest)
        if not powers.any():
            return -np.inf
        return float(10 * np.log10(powers[powers >= powers.max() * 10 ** (-_RANGE / 10)].mean()))

    @property
    def gain(self) -> float:
        """Factor that raises the sound to -20 dBFS; 1 where it is as loud, or silent."""
        return 10 ** ((TARGET - self.level) / 20) if SILENT <= self.level < TARGET else 1.0
