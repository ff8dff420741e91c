"""Does a model listen? Every picture under its own sound and under others."""

from save_avs.studies.listening.study import study_listening

__all__ = ["study_listening"]
