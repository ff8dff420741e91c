"""Many videos on Ray Data: one row of a Parquet table per video, whatever dies on the way."""

from __future__ import annotations

from save_avs._extras import require

require("cluster", "fsspec", "pyarrow", "ray")
