"""Metrics: mask IoU and F-score of frames and clips, scoring protocols, semantic scores."""
