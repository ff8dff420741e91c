"""The paper's open questions, answered by experiments: declared grids of runs, and studies of one model.

``python -m studies NAME`` from a checkout; docs/lab-notes/studies.md describes each.
"""
