"""Progress within one video."""

from dataclasses import dataclass


@dataclass(frozen=True)
class FrameProgress:
    """Progress within one video.

    Attributes:
        frames: processed so far.
        time: of the last of them, seconds from the start of the range.
        duration: of the range to segment, None when the file does not say.
        elapsed: seconds since the start.
    """

    frames: int
    time: float
    duration: float | None
    elapsed: float

    @property
    def fraction(self) -> float | None:
        """Processed share of the video, 0..1."""
        return min(1.0, self.time / self.duration) if self.duration else None

    @property
    def frames_per_second(self) -> float:
        """Speed so far."""
        return self.frames / max(self.elapsed, 1e-9)

    @property
    def remaining(self) -> float | None:
        """Estimated seconds until the end."""
        return self.elapsed * (1 / self.fraction - 1) if self.fraction else None
