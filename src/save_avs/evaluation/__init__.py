"""Evaluation: a model on a data set under named protocols, with confidence intervals and a report."""

from save_avs.evaluation.benchmark import DEFAULT_PROTOCOLS, evaluate_clips
from save_avs.evaluation.comparison import Comparison, compare
from save_avs.evaluation.reference_results import published_label_results, published_mask_results
from save_avs.evaluation.report import BenchmarkReport
from save_avs.evaluation.scenes import SceneReport, evaluate_scenes

__all__ = [
    "DEFAULT_PROTOCOLS",
    "BenchmarkReport",
    "Comparison",
    "SceneReport",
    "compare",
    "evaluate_clips",
    "evaluate_scenes",
    "published_label_results",
    "published_mask_results",
]
