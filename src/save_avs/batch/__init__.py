"""Very many clips into tables: worker processes or Ray, one result a clip, whatever dies on the way."""

from __future__ import annotations

from save_avs._extras import require

require("cluster", "pyarrow")
