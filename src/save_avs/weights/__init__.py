"""Weights: read them safely, rename foreign keys, load them strictly."""
