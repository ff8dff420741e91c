"""Options of segmentation, checked before any work, and the names of the files that it writes."""

from __future__ import annotations

import math
from dataclasses import dataclass

from save_avs.errors import UsageError
from save_avs.formats import MASK_FORMATS

OUTPUTS = ("overlay", "matte", "masks", "timeline", "frames", *MASK_FORMATS)
DEFAULT_OUTPUTS = ("overlay", "masks", "timeline")

OVERLAY_FILE = "overlay.mp4"
MATTE_FILE = "matte.mov"
MASKS_FILE = "masks.json"
FRAMES_FOLDER = "frames"
TIMELINE_FILE = "timeline.png"
SUMMARY_FILE = "summary.json"

_VIEW_FILES = {
    "overlay": OVERLAY_FILE,
    "matte": MATTE_FILE,
    "masks": MASKS_FILE,
    "timeline": TIMELINE_FILE,
}


def output_file(name: str) -> str:
    """Return the file or folder that an output is written to."""
    return _VIEW_FILES[name] if name in _VIEW_FILES else MASK_FORMATS[name].file


@dataclass(frozen=True, kw_only=True)
class SegmentationSettings:
    """How to segment a video, and what to write.

    Attributes:
        fps: frames to process per second; None for every frame of the video.
        threshold: pixels of a higher probability are marked; between 0 and 1.
        outputs: names out of ``OUTPUTS``; the summary is always written.
        batch_size: frames per forward pass of the model.

    Raises:
        UsageError: a value is out of range.
    """

    fps: float | None = None
    threshold: float = 0.5
    outputs: tuple[str, ...] = DEFAULT_OUTPUTS
    batch_size: int = 16

    def __post_init__(self) -> None:
        """Check every value."""
        if self.fps is not None and not (math.isfinite(self.fps) and self.fps > 0):
            raise UsageError(f"fps must be 'native' or a number above 0, not {self.fps:g}")
        check_threshold(self.threshold)
        if unknown := [name for name in self.outputs if name not in OUTPUTS]:
            raise UsageError(f"unknown output {unknown[0]!r}: choose from {', '.join(OUTPUTS)}")
        check_batch_size(self.batch_size)


def check_threshold(threshold: float) -> None:
    """Raise a UsageError unless the threshold is between 0 and 1."""
    if not 0 < threshold < 1:
        raise UsageError(f"the threshold must be between 0 and 1, not {threshold:g}")


def check_batch_size(batch_size: int) -> None:
    """Raise a UsageError unless a batch has at least one frame."""
    if batch_size < 1:
        raise UsageError(f"batch_size must be 1 or more, not {batch_size}")


def parse_fps(text: str) -> float | None:
    """Parse ``native`` (None) or a number.

    Raises:
        UsageError: the text is neither.
    """
    if text.strip().lower() == "native":
        return None
    try:
        return float(text)
    except ValueError:
        raise UsageError(f"fps must be 'native' or a number above 0, not {text!r}") from None


def parse_outputs(text: str) -> tuple[str, ...]:
    """Split a comma-separated list of outputs into names, without repeats, in the order given."""
    names = (name.strip().lower() for name in text.split(","))
    return tuple(dict.fromkeys(name for name in names if name))
