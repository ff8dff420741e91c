"""What a user may choose about segmenting, checked before any work."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from save_avs.errors import UsageError
from save_avs.formats import MASK_FORMATS

OUTPUTS = ("overlay", "matte", "masks", "timeline", *MASK_FORMATS)
DEFAULT_OUTPUTS = ("overlay", "masks", "timeline")


@dataclass(frozen=True, kw_only=True)
class SegmentationSettings:
    """How to segment a video, and what to write.

    Attributes:
        fps: frames a second to process; None for every frame of the video.
        threshold: pixels of a higher probability are marked.
        outputs: some of ``OUTPUTS``; the summary is always written.
        batch: frames the model sees at once.

    Raises:
        UsageError: when a value is out of range.
    """

    fps: float | None = None
    threshold: float = 0.5
    outputs: tuple[str, ...] = DEFAULT_OUTPUTS
    batch: int = 16

    def __post_init__(self) -> None:
        """Check every value."""
        if self.fps is not None and not (math.isfinite(self.fps) and self.fps > 0):
            raise UsageError(f"fps must be 'native' or a number above 0, not {self.fps:g}")
        check_threshold(self.threshold)
        if unknown := [name for name in self.outputs if name not in OUTPUTS]:
            raise UsageError(f"cannot save {unknown[0]!r}; choose from {', '.join(OUTPUTS)}")
        check_batch(self.batch)


def check_threshold(threshold: float) -> None:
    """Raise a UsageError unless the threshold lies between 0 and 1."""
    if not 0 < threshold < 1:
        raise UsageError(f"the threshold must lie between 0 and 1, not {threshold:g}")


def check_batch(batch: int) -> None:
    """Raise a UsageError unless the batch holds a frame."""
    if batch < 1:
        raise UsageError(f"the batch must be 1 or more, not {batch}")


def parse_fps(text: str) -> float | None:
    """Read ``native`` or a number.

    Raises:
        UsageError: when it is neither.
    """
    if text.strip().lower() == "native":
        return None
    try:
        return float(text)
    except ValueError:
        raise UsageError(f"fps must be 'native' or a number above 0, not {text!r}") from None


def parse_outputs(text: str) -> tuple[str, ...]:
    """Split a comma-separated list of outputs, each once, in the order given."""
    names: Iterable[str] = (name.strip().lower() for name in text.split(","))
    return tuple(dict.fromkeys(name for name in names if name))
