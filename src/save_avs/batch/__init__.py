"""Many videos on Ray Data: one row of a Parquet table per video, whatever dies on the way."""
