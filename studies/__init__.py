"""Declared grids of runs, and comparisons: their runs, their statistics, their reports."""
