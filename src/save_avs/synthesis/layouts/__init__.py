"""Composed scenes written in the layouts of the benchmarks: one writer a layout, paths from its spec."""
