"""Evaluation: a model over a data set under named protocols, with statistics and a report."""

from save_avs.evaluation.benchmark import DEFAULT_PROTOCOLS, evaluate_clips
from save_avs.evaluation.benchmark_report import BenchmarkReport
from save_avs.evaluation.comparison import Comparison, compare
from save_avs.evaluation.reference_results import published_label_results, published_mask_results
from save_avs.evaluation.scene_report import save_scene_report, scene_table
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
    "published_label_results",
    "published_mask_results",
    "save_scene_report",
    "scene_table",
]
