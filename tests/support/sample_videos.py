"""A model without weights, and videos for which its masks are known."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

from save_avs.audio.frontend import VGGISH
from save_avs.video import VideoWriter

SIZE = 64
RATE = 16000


class BrightWhereLoud(torch.nn.Module):
    """Predicts the bright pixels of a frame while the audio around it is loud."""

    name = "stand-in"
    image_size = SIZE
    frontend = VGGISH
    device = torch.device("cpu")
    precision = "fp32"
    runtime = "torch"

    def __init__(self, resize: str = "squash") -> None:
        super().__init__()
        self.resize = resize
        self.batches: list[int] = []

    def forward(self, images: torch.Tensor, log_mel: torch.Tensor) -> torch.Tensor:
        assert images.dtype == torch.uint8 and images.shape[1:] == (3, SIZE, SIZE)
        assert log_mel.dtype == torch.float32 and log_mel.shape[1:] == (1, 96, 64)
        self.batches.append(len(images))
        gray = F.avg_pool2d(images.float().mean(1, keepdim=True), 4)  # [B,1,16,16]
        loud = log_mel.amax(dim=(1, 2, 3)) > 1
        return (gray - 128) / 16 - 100 * (~loud).float().view(-1, 1, 1, 1)


def square_at(i: int, width: int, height: int) -> tuple[int, int, int]:
    """Left, top and side of the bright square in frame ``i``."""
    side = height // 2
    return (2 * i) % (width - side), height // 4, side


def frame(i: int, width: int, height: int) -> np.ndarray:
    """Frame ``i``: a white square on black, u8 [H,W,3]."""
    image = np.zeros((height, width, 3), dtype=np.uint8)
    left, top, side = square_at(i, width, height)
    image[top : top + side, left : left + side] = 255
    return image


def tone_then_silence(seconds: float) -> np.ndarray:
    """A tone in the first half, nothing in the second, f32 [S]."""
    time = np.arange(round(seconds * RATE)) / RATE
    return np.where(time < seconds / 2, 0.5 * np.sin(2 * np.pi * 440 * time), 0).astype(np.float32)


def make_video(
    path: Path, *, frames: int = 40, fps: float = 10, size: tuple[int, int] = (96, 64), sound: bool = True
) -> Path:
    """A white square moving over black; a tone in the first half."""
    width, height = size
    audio = (tone_then_silence(frames / fps), RATE) if sound else None
    with VideoWriter(path, width=width, height=height, fps=fps, audio=audio) as writer:
        for i in range(frames):
            writer.write(frame(i, width, height), i / fps)
    return path


def make_sound(path: Path) -> Path:
    """A file with audio but no video."""
    import av

    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("aac", rate=RATE, layout="mono")
        waveform = av.AudioFrame.from_ndarray(tone_then_silence(1.0)[None], format="fltp", layout="mono")
        waveform.sample_rate = RATE
        container.mux(stream.encode(waveform))
        container.mux(stream.encode(None))
    return path


def write_images(folder: Path, names: list[str], size: tuple[int, int] = (96, 64)) -> None:
    """Images of ``frame``, in this order."""
    folder.mkdir(parents=True, exist_ok=True)
    for i, name in enumerate(names):
        Image.fromarray(frame(i, *size)).save(folder / name)


def write_sound(path: Path, seconds: float) -> None:
    """A wav of ``tone_then_silence``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, RATE, 0, "NONE", ""))
        file.writeframes((tone_then_silence(seconds) * 32767).astype("<i2").tobytes())
