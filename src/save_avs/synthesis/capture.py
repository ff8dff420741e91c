"""What a camera and a room do to a scene: color, resolution, noise and compression; reverberation."""

from dataclasses import dataclass
from io import BytesIO

import numpy as np
from PIL import Image, ImageEnhance
from PIL.Image import Resampling

from save_avs.audio.log_mel import SAMPLE_RATE
from save_avs.types import F32, U8

ROOM_S = 2.0  # seconds of sound convolved with a room; scenes change faster


@dataclass(frozen=True)
class Camera:
    """What a camera does to a whole frame, in this order."""

    # brightness, contrast, saturation: factors; 1 changes nothing
    brightness: float
    contrast: float
    saturation: float
    noise: float  # standard deviation of the sensor's noise, gray levels
    quality: int  # of the JPEG compression, 1 to 95
    seed: int  # of the noise
    resolution: float = 1.0  # sides of the picture it stores, as a fraction of the frame's

    def __call__(self, frame: U8) -> U8:
        """Return the frame, RGB u8 [H,W,3], as the camera records it."""
        image = Image.fromarray(frame)
        for kind, factor in (
            (ImageEnhance.Brightness, self.brightness),
            (ImageEnhance.Contrast, self.contrast),
            (ImageEnhance.Color, self.saturation),
        ):
            image = kind(image).enhance(factor)
        size = (frame.shape[1], frame.shape[0])
        image = image.resize([max(1, round(side * self.resolution)) for side in size], Resampling.BILINEAR)
        shape = (image.height, image.width, 3)
        noise = np.random.default_rng(self.seed).standard_normal(shape, np.float32)
        noisy = np.clip(np.asarray(image) + self.noise * noise, 0, 255).astype(np.uint8)
        stored = BytesIO()
        Image.fromarray(noisy).save(stored, "JPEG", quality=self.quality)
        return np.asarray(Image.open(stored).resize(size, Resampling.BICUBIC))


def random_camera(rng: np.random.Generator) -> Camera:
    """Draw a camera, from a good one to a poor one in bad light."""
    brightness, contrast, saturation = np.exp(rng.uniform(-0.4, 0.4, 3))
    return Camera(
        float(brightness),
        float(contrast),
        float(saturation),
        noise=float(rng.uniform(0, 12)),
        quality=int(rng.integers(30, 96)),
        seed=int(rng.integers(2**32)),
        resolution=float(rng.uniform(0.3, 1.0)) if rng.random() < 0.5 else 1.0,
    )


def reverberate(rng: np.random.Generator, waveform: F32) -> F32:
    """Return two seconds of a sound at 16 kHz, f32 [S], in a random room, at the same RMS.

    The room's response is noise that decays by 60 dB in 0.15 to 0.9 s, 3 to 20 dB below the direct sound.
    """
    length = int(ROOM_S * SAMPLE_RATE)
    looped = np.resize(np.roll(waveform, -int(rng.integers(len(waveform)))), length)
    decay_s = rng.uniform(0.15, 0.9)
    time = np.arange(int(decay_s * SAMPLE_RATE)) / SAMPLE_RATE
    response = rng.standard_normal(len(time)) * 10 ** (-3 * time / decay_s)
    response *= 10 ** (rng.uniform(-20, -3) / 20) / np.sqrt((response**2).sum())
    response[0] = 1.0
    size = 2 * length  # the loop is repeated once, so the response wraps around into the sound itself
    wet = np.fft.irfft(np.fft.rfft(np.tile(looped, 2), size) * np.fft.rfft(response, size), size)[length:]
    return (wet * np.sqrt((waveform**2).mean() / max((wet**2).mean(), 1e-12))).astype(np.float32)
