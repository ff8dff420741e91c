"""The benchmarks, as they lie on disk: one spec a subset, one reader for all."""
