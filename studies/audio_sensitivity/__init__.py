"""Does a model listen? Every picture under its own sound and under others."""

from studies.audio_sensitivity.study import study_listening

__all__ = ["study_listening"]
