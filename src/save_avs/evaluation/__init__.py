"""Evaluation: a model over a data set under a named protocol, with statistics and a report."""

from save_avs.evaluation.report import markdown, write_report
from save_avs.evaluation.scenes import SceneReport, evaluate_scenes
from save_avs.evaluation.statistics import Figure, bootstrap_mean

__all__ = ["Figure", "SceneReport", "bootstrap_mean", "evaluate_scenes", "markdown", "write_report"]
