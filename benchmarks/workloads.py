"""What a clip asks of the stages: measured rates (docs/benchmarks.md), assumptions (docs/scale.md)."""

from __future__ import annotations

import random
from dataclasses import dataclass
from math import ceil

from machines import Clip

# save-tiny on 1280 x 720 at 25 fps, processor seconds a frame (docs/benchmarks.md, "Segmenting a video").
VIDEO_FPS = 25
DECODE = 0.0015  # of every frame of the video
MODEL = 0.018  # of a segmented one
REST = 0.0109  # conversion, sound, resizing, run lengths; the overlay's 6 ms left out

BITRATE = 4e6  # assumed, bits/s


@dataclass(frozen=True)
class Workload:
    """Clips of one kind, all 1280 x 720.

    Attributes:
        fps: frames segmented a second of video.
        gpu_rate: frames/s that a GPU's model is assumed to do; None: the model runs on cores.
        result_bytes, write: of a result of 10 s: its codes, and the processor seconds of who writes it.
    """

    name: str
    fps: float
    result_bytes: float
    write: float
    gpu_rate: float | None = None

    @property
    def gpus(self) -> int:
        """GPUs of a node."""
        return 0 if self.gpu_rate is None else 1

    def clip(self, number: int, seconds: float, chunk: float = 10.0) -> Clip:
        """A clip of some seconds, decoded in chunks of some seconds."""
        segmented = seconds * self.fps
        return Clip(
            number=number,
            video_bytes=seconds * BITRATE / 8,
            chunks=ceil(seconds / chunk),
            decode=seconds * VIDEO_FPS * DECODE + segmented * REST,
            model=segmented * MODEL if self.gpu_rate is None else segmented / self.gpu_rate,
            write=self.write * seconds / 10,
            result_bytes=self.result_bytes * seconds / 10,
        )

    def clips(self, count: int, seed: int, chunk: float = 10.0) -> list[Clip]:
        """Clips of 5 to 15 s, evenly distributed."""
        draw = random.Random(seed)
        return [self.clip(number, draw.uniform(5, 15), chunk) for number in range(count)]


# The driver's share of a clip of 10 s: docs/scale.md, "Memory of the driver".
EVERY = Workload("every frame", 25, result_bytes=268e3, write=3.3e-3)
ONE = Workload("1 frame/s", 1, result_bytes=11e3, write=0.05e-3)


def with_gpu(workload: Workload, rate: float) -> Workload:
    """The same on nodes with a GPU whose model does ``rate`` frames/s."""
    name = f"{workload.name}, GPU of {rate:g} frames/s"
    return Workload(name, workload.fps, workload.result_bytes, workload.write, rate)
