"""Segmentation of videos: sources, predictor, results, streaming. Its names are in ``save_avs``."""
