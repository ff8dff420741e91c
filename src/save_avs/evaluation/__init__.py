"""Evaluation: a model on a data set under named protocols, with confidence intervals and a report."""

from save_avs.evaluation.benchmark import evaluate_clips

__all__ = ["evaluate_clips"]
