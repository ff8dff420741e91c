"""What a SAVE does inside, and whether the pictures of it can be believed."""

from studies.interpretability.study import study_inside

__all__ = ["study_inside"]
