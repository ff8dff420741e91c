"""summary.json: what was done to a video, in a few numbers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from save_avs._files import atomic_write


def write_summary(path: str | Path, summary: Mapping[str, Any]) -> None:
    """Write a summary as indented JSON, whole or not at all.

    Raises:
        ValueError: a number that JSON does not have (NaN, infinity).
    """
    atomic_write(path, json.dumps(summary, indent=2, ensure_ascii=False, allow_nan=False) + "\n")
