"""Experiments on the paper's open questions: grids of training runs, and studies of trained models.

``python -m studies NAME`` from a checkout; docs/lab-notes/studies.md describes them.
"""
