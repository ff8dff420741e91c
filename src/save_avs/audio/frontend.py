"""Front-ends: how each published audio network's input is computed from a waveform."""

from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any, Literal

import numpy as np

from save_avs.types import F64

MelScale = Literal["htk", "slaney"]

_BREAK_HZ, _BREAK_MEL = 1000.0, 15.0  # Slaney's scale is linear below, logarithmic above
_LOG_STEP = np.log(6.4) / 27


@dataclass(frozen=True)
class MelFilterbank:
    """Overlapping triangles, evenly spaced on a mel scale."""

    n_mels: int  # number of bands
    f_min: float  # start of the first band, Hz
    f_max: float  # end of the last band, Hz
    scale: MelScale  # HTK's, logarithmic throughout, or Slaney's, linear below 1 kHz
    triangle_axis: Literal["mel", "hertz"]  # on which the sides of a triangle are straight lines
    # scale each triangle to ``height`` 1, to ``area`` 1 over Hz (librosa's norm "slaney"), or so that its
    # weights have the ``sum`` 1 (Essentia's "unit_sum")
    norm: Literal["height", "area", "sum"] = "height"


@cache
def mel_filters(mel: MelFilterbank, sample_rate: int, n_fft: int) -> F64:
    """Weights of the bins of a spectrum in the bands, [n_fft/2+1,bands].

    Source: HTK's and Slaney's (Auditory Toolbox) mel scales.
    """
    lowest, highest = hz_to_mel(np.array([mel.f_min, mel.f_max]), mel.scale)
    edges = np.linspace(lowest, highest, mel.n_mels + 2)
    bins = np.linspace(0.0, sample_rate / 2, n_fft // 2 + 1)
    edges_hz = mel_to_hz(edges, mel.scale)
    if mel.triangle_axis == "mel":
        bins = hz_to_mel(bins, mel.scale)
    else:
        edges = edges_hz
    low, center, high = edges[:-2], edges[1:-1], edges[2:]
    bins = bins[:, None]  # [n_fft/2+1,1]
    filters = np.minimum((bins - low) / (center - low), (high - bins) / (high - center)).clip(min=0.0)
    match mel.norm:
        case "height":
            return filters
        case "area":
            return filters * 2 / (edges_hz[2:] - edges_hz[:-2])
        case "sum":
            return filters / filters.sum(axis=0)


def hz_to_mel(hertz: F64, scale: MelScale) -> F64:
    """Convert frequencies in Hz to a mel scale."""
    if scale == "htk":
        return 1127.0 * np.log1p(hertz / 700.0)
    above = _BREAK_MEL + np.log(np.maximum(hertz, _BREAK_HZ) / _BREAK_HZ) / _LOG_STEP
    return np.where(hertz < _BREAK_HZ, hertz * _BREAK_MEL / _BREAK_HZ, above)


def mel_to_hz(mel: F64, scale: MelScale) -> F64:
    """Convert frequencies on a mel scale to Hz."""
    if scale == "htk":
        return 700.0 * np.expm1(mel / 1127.0)
    above = _BREAK_HZ * np.exp((np.maximum(mel, _BREAK_MEL) - _BREAK_MEL) * _LOG_STEP)
    return np.where(mel < _BREAK_MEL, mel * _BREAK_HZ / _BREAK_MEL, above)


@dataclass(frozen=True)
class LogScale:
    """Logarithm of mel magnitudes or powers: ``log(max(gain * x + offset, amin))``."""

    offset: float = 0.0  # 1 makes silence 0
    gain: float = 1.0
    amin: float = 0.0  # smallest value that is distinguished from 0
    multiplier: float | None = None  # of the common logarithm, 10 for decibels; None for the natural one
    # if given, the largest value of a patch becomes 0 dB, and values below -top_db become -top_db
    top_db: float | None = None

    def __call__(self, mel: Any, xp: Any = np) -> Any:
        """Scale a patch, [frames,bands], or with ``xp`` torch a tensor of several, [B,bands,frames]."""
        values = (self.gain * mel + self.offset).clip(min=self.amin)
        if self.multiplier is None:
            return xp.log(values)
        decibels = self.multiplier * xp.log10(values)
        if self.top_db is None:
            return decibels
        return (decibels - xp.amax(decibels, (-2, -1))[..., None, None]).clip(min=-self.top_db)


@dataclass(frozen=True)
class Frontend:
    """From ``num_samples`` of waveform to one log-mel patch, f32 [frames,bands].

    A Hann window slides over the samples, which are padded at both ends where the frames reach beyond them.
    The spectrum of each window is weighted into mel bands, and these are scaled.
    """

    sample_rate: int  # samples per second
    num_samples: int  # samples per patch, centered on the time of the video frame
    win_length: int  # samples per window
    hop_length: int  # samples per step
    n_fft: int  # samples per Fourier transform
    num_frames: int  # frames per patch
    mel: MelFilterbank
    power: int  # exponent of the magnitude spectrum: 1 or 2
    scale: LogScale  # of the mel bands
    pad_mode: Literal["constant", "reflect"] = "constant"  # zeros, or the mirrored samples
    symmetric: bool = False  # the window ends on the zero it begins with, instead of one sample before

    @property
    def shape(self) -> tuple[int, int]:
        """Frames and bands of a patch."""
        return self.num_frames, self.mel.n_mels

    @property
    def duration(self) -> float:
        """Seconds of waveform per patch."""
        return self.num_samples / self.sample_rate

    @property
    def padding(self) -> tuple[int, int]:
        """Samples of padding before and after those of a patch."""
        total = (self.num_frames - 1) * self.hop_length + self.win_length - self.num_samples
        return total // 2, total - total // 2

    @cached_property
    def window(self) -> F64:
        """The Hann window, [win_length]."""
        steps = self.win_length - self.symmetric
        return 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(self.win_length) / steps)

    def log_mel(self, windows: F64) -> F64:
        """Compute log-mel frames, [N,bands], from windows of waveform, [N,win_length]."""
        spectrum = np.fft.rfft(windows * self.window, self.n_fft)  # [N,n_fft/2+1]
        power = spectrum.real**2 + spectrum.imag**2
        filters = mel_filters(self.mel, self.sample_rate, self.n_fft)
        return self.scale((np.sqrt(power) if self.power == 1 else power) @ filters)


def _google(offset: float) -> Frontend:
    """25 ms windows every 10 ms, 96 frames; magnitudes; triangles straight on the HTK mel scale."""
    return Frontend(
        sample_rate=16_000,
        num_samples=15_600,  # the last window ends 15 ms after 0.96 s
        win_length=400,
        hop_length=160,
        n_fft=512,
        num_frames=96,
        mel=MelFilterbank(64, 125.0, 7500.0, scale="htk", triangle_axis="mel"),
        power=1,
        scale=LogScale(offset),
    )


def _kapre(n_mels: int) -> Frontend:
    """43 ms windows every 5 ms of one zero-padded second; decibels relative to the patch's maximum.

    Kapre 0.1.4 takes 10 log10 of the root of a mel power: 5 log10 of the power, at a floor of 1e-10 squared.
    """
    return Frontend(
        sample_rate=48_000,
        num_samples=48_000,
        win_length=2048,
        hop_length=242,
        n_fft=2048,
        num_frames=199,
        mel=MelFilterbank(n_mels, 0.0, 24_000.0, scale="htk", triangle_axis="hertz", norm="area"),
        power=2,
        scale=LogScale(amin=1e-20, multiplier=5.0, top_db=80.0),
    )


VGGISH = _google(0.01)  # Hershey et al. 2017, arXiv 1609.09430, and the parameters published with VGGish
YAMNET = _google(0.001)  # the parameters published with YAMNet: only the offset differs
# Kong et al. 2020, arXiv 1912.10211; the parameters of the 16 kHz checkpoint. The networks accept any length;
# of the second used here, every frame is centered on a multiple of 10 ms, the first one on its start.
PANNS_16K = Frontend(
    sample_rate=16_000,
    num_samples=16_000,
    win_length=512,
    hop_length=160,
    n_fft=512,
    num_frames=101,
    mel=MelFilterbank(64, 50.0, 8000.0, scale="slaney", triangle_axis="hertz", norm="area"),
    power=2,
    scale=LogScale(amin=1e-10, multiplier=10.0),
    pad_mode="reflect",
)
OPENL3_MEL128 = _kapre(128)  # Cramer et al. 2019 (ICASSP), and the layers of openl3's published models
OPENL3_MEL256 = _kapre(256)
# Ma & Lerch 2022 (ISMIR): Essentia's mel bands of 46 ms windows every 23 ms. The network accepts any length;
# of the second used here, all windows are complete.
AISFX = Frontend(
    sample_rate=44_100,
    num_samples=44_032,
    win_length=2048,
    hop_length=1024,
    n_fft=2048,
    num_frames=42,
    mel=MelFilterbank(96, 0.0, 22_050.0, scale="htk", triangle_axis="mel", norm="sum"),
    power=2,
    scale=LogScale(offset=1.0, gain=1e4, multiplier=1.0),
    symmetric=True,
)
