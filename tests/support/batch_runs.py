"""Batch runs in this process or as a program that can be killed, and the rows they wrote."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from save_avs.batch.output import DONE_TABLE, FAILED_TABLE, BatchOutput
from save_avs.cli import main


def run_in_process(inputs: object, model: object, output: Path, *more: object) -> int:
    """Run ``save-avs batch`` with one worker in this process's Ray; returns the exit code."""
    words = ["batch", inputs, "-o", output, "--model", model, "--workers", 1, *more]
    return main(list(map(str, words)))


def start_program(*arguments: object) -> subprocess.Popen[str]:
    """Start ``save-avs batch`` with some arguments and a Ray of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "save_avs", "batch", *map(str, arguments)],
        env={key: value for key, value in os.environ.items() if key != "RAY_ADDRESS"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def done_rows(output: Path) -> list[dict[str, Any]]:
    """Rows of the results, sorted by path, without the time and place of their making."""
    rows = BatchOutput(str(output)).rows(DONE_TABLE)
    return [rows[path] | {"seconds": None, "node": None} for path in sorted(rows)]


def results(output: Path) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Rows of results and of failures; each video has exactly one."""
    tables = [_all_rows(output, table) for table in (DONE_TABLE, FAILED_TABLE)]
    paths = [row["path"] for rows in tables for row in rows]
    assert len(paths) == len(set(paths))
    failed = BatchOutput(str(output)).rows(FAILED_TABLE)
    return done_rows(output), [failed[path] | {"node": None} for path in sorted(failed)]


def _all_rows(output: Path, table: str) -> list[dict[str, Any]]:
    from pyarrow import parquet

    parts = sorted((output / table).glob("*.parquet"))
    return [row for part in parts for row in parquet.read_table(part, columns=["path"]).to_pylist()]
