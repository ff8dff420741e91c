"""Interpretability of a SAVE: activations as images, and ablations that test them."""

from studies.interpretability.frames import read_frames_at
from studies.interpretability.study import run_interpretability

__all__ = ["read_frames_at", "run_interpretability"]
