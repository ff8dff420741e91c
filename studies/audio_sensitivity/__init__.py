"""Audio sensitivity of a model: masks of each frame under its own sound and under others."""

from studies.audio_sensitivity.clips import clip_trials
from studies.audio_sensitivity.scenes import scene_trials
from studies.audio_sensitivity.study import run_audio_sensitivity

__all__ = ["clip_trials", "run_audio_sensitivity", "scene_trials"]
