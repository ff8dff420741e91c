"""What a network wants to be given of a sound: its front-end, and those of the published networks."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Literal, Protocol

import numpy as np

from save_avs.audio.mel import MelScale, mel_filters
from save_avs.types import F64


class AmplitudeScale(Protocol):
    """From the bands of a spectrum, [frames,bands], to what a network sees of them, value by value."""

    def __call__(self, bands: F64) -> F64:
        """Say how loud."""
        ...


@dataclass(frozen=True)
class LogScale:
    """Natural logarithm of a value and an offset."""

    offset: float

    def __call__(self, bands: F64) -> F64:
        """log(x + offset)."""
        return np.log(bands + self.offset)


@dataclass(frozen=True)
class DecibelScale:
    """Logarithm of a value, no less than a floor.

    Attributes:
        floor: the least value.
        step: decibels a factor of ten.
        num_samples: where it is given, the loudest value of a patch is 0 dB, and none is less than -span.
    """

    floor: float
    step: float = 10.0
    num_samples: float | None = None

    def __call__(self, bands: F64) -> F64:
        """``step`` log10(max(x, floor))."""
        decibels = self.step * np.log10(np.maximum(bands, self.floor))
        if self.num_samples is None:
            return decibels
        return np.maximum(decibels - decibels.max(), -self.num_samples)


@dataclass(frozen=True)
class Frontend:
    """From a stretch of sound to a patch, f32 [frames,bands].

    A periodic Hann window moves over the stretch; where frames and hops reach past it, as many samples are
    put at both its ends. Each window's spectrum is weighed into mel bands, and the level taken of them.

    Attributes:
        sample_rate: samples a second.
        num_samples: samples that a patch is made of; it is centered on a picture's own time.
        window, hop, fft: samples.
        frames: of a patch.
        mel: the bands.
        power: of the spectrum's magnitude: 1 or 2.
        level: of the bands.
        edges: what is put at the ends: zeros, or the stretch itself mirrored.
    """

    sample_rate: int
    num_samples: int
    window: int
    hop: int
    fft: int
    frames: int
    mel: MelScale
    power: int
    level: AmplitudeScale
    edges: Literal["constant", "reflect"] = "constant"

    @property
    def shape(self) -> tuple[int, int]:
        """Frames and bands of a patch."""
        return self.frames, self.mel.count

    @property
    def seconds(self) -> float:
        """How long a stretch of sound a patch is made of."""
        return self.num_samples / self.sample_rate

    @property
    def filling(self) -> int:
        """Samples that are put at the ends, both together."""
        return (self.frames - 1) * self.hop + self.window - self.num_samples

    def bands(self, windows: F64) -> F64:
        """Windows of sound, [N,window], to mel bands, [N,bands]."""
        spectrum = np.fft.rfft(windows * hann_window(self.window), self.fft)  # [N,fft/2+1]
        power = spectrum.real**2 + spectrum.imag**2
        return (np.sqrt(power) if self.power == 1 else power) @ mel_filters(
            self.mel, self.sample_rate, self.fft
        )


@cache
def hann_window(width: int) -> F64:
    """Hann window whose period is the window itself (not one sample less)."""
    return 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(width) / width)


def _google(offset: float) -> Frontend:
    """25 ms windows every 10 ms, 96 of them; magnitudes; triangles straight on HTK's mel scale."""
    return Frontend(
        sample_rate=16_000,
        num_samples=15_600,  # the last window reaches 15 ms past 0.96 s
        window=400,
        hop=160,
        fft=512,
        frames=96,
        mel=MelScale(64, 125.0, 7500.0, scale="htk", sides="mel"),
        power=1,
        level=LogScale(offset),
    )


def _kapre(bands: int) -> Frontend:
    """43 ms windows every 5 ms of one second, zeros at its ends; decibels below the patch's loudest value.

    Kapre 0.1.4 takes 10 log10 of the root of a mel power: 5 log10 of the power, at a floor of 1e-10 squared.
    """
    return Frontend(
        sample_rate=48_000,
        num_samples=48_000,
        window=2048,
        hop=242,
        fft=2048,
        frames=199,
        mel=MelScale(bands, 0.0, 24_000.0, scale="htk", sides="hertz", equal_area=True),
        power=2,
        level=DecibelScale(floor=1e-20, step=5.0, num_samples=80.0),
    )


VGGISH = _google(0.01)  # Hershey et al. 2017, arXiv 1609.09430, and the parameters published with VGGish
YAMNET = _google(0.001)  # the parameters published with YAMNet: the offset alone differs
# Kong et al. 2020, arXiv 1912.10211; the parameters of the 16 kHz checkpoint. The networks take any length;
# of the second here every frame is centered on a multiple of 10 ms, the first on its beginning.
PANNS_16K = Frontend(
    sample_rate=16_000,
    num_samples=16_000,
    window=512,
    hop=160,
    fft=512,
    frames=101,
    mel=MelScale(64, 50.0, 8000.0, scale="slaney", sides="hertz", equal_area=True),
    power=2,
    level=DecibelScale(floor=1e-10),
    edges="reflect",
)
OPENL3_MEL128 = _kapre(128)  # Cramer et al. 2019 (ICASSP), and the layers of openl3's published models
OPENL3_MEL256 = _kapre(256)
