"""What happens inside a SAVE, as images, and whether ablations confirm them."""

from studies.interpretability.frames import read_frames_at
from studies.interpretability.study import run_interpretability

__all__ = ["read_frames_at", "run_interpretability"]
