"""Evaluation: a model over a data set under named protocols, with statistics and a report."""

from save_avs.evaluation.benchmark import DEFAULT_PROTOCOLS, evaluate_clips
from save_avs.evaluation.benchmark_report import BenchmarkReport
from save_avs.evaluation.comparison import Comparison, compare
from save_avs.evaluation.published import published_labels, published_masks
from save_avs.evaluation.scene_report import markdown, write_report
from save_avs.evaluation.scenes import SceneReport, evaluate_scenes
from save_avs.evaluation.statistics import Figure, bootstrap_mean

__all__ = [
    "DEFAULT_PROTOCOLS",
    "BenchmarkReport",
    "Comparison",
    "Figure",
    "SceneReport",
    "bootstrap_mean",
    "compare",
    "evaluate_clips",
    "evaluate_scenes",
    "markdown",
    "published_labels",
    "published_masks",
    "write_report",
]
