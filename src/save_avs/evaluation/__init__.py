"""Evaluation: a model, or masks of any system, on a data set under named protocols, with a report."""

from save_avs.evaluation.benchmark import evaluate_clips
from save_avs.evaluation.predictions import open_predictions

__all__ = ["evaluate_clips", "open_predictions"]
