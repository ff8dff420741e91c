"""Few-shot segmentation of unseen classes: SAVE and baselines."""

from studies.few_shot.config import FewShotConfig
from studies.few_shot.study import run_few_shot

__all__ = ["FewShotConfig", "run_few_shot"]
