"""What a stage writes down as it goes, a JSON row a line; a run that goes on takes back what it lost."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from save_avs._files import atomic_write


class Rows:
    """Rows appended to a file.

    Args:
        path: of the .jsonl file.

    Attributes:
        count: rows there are.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.count = 0

    def add(self, row: Mapping[str, Any]) -> None:
        """Append a row."""
        with self.path.open("a") as file:
            file.write(json.dumps({k: _short(v) for k, v in row.items()}) + "\n")
        self.count += 1

    def rows(self) -> list[dict[str, Any]]:
        """What was written; a row that was cut short is left out."""
        lines = self.path.read_text().splitlines() if self.path.exists() else []
        return [row for line in lines if (row := _parse(line)) is not None]

    def rewind(self, count: int) -> None:
        """Forget all but the first rows: the others will come again."""
        self.count = count
        if self.path.exists():
            atomic_write(self.path, "".join(json.dumps(row) + "\n" for row in self.rows()[:count]))


def _parse(line: str) -> dict[str, Any] | None:
    try:
        return json.loads(line)
    except json.JSONDecodeError:
        return None


def _short(value: Any) -> Any:
    """Six decimals, or six digits of a number that has fewer: a learning rate may be tiny."""
    if not isinstance(value, float):
        return value
    return round(value, 6) if abs(value) >= 0.01 else float(f"{value:.6g}")
