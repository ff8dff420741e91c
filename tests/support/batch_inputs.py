"""An archive of small clips, and `save-avs` as a program that can be killed: bulk_making.py ARGUMENT...

As a program it writes a part for every two clips, and takes BULK_DELAY seconds longer for each.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from save_avs.batch import output as folder
from save_avs.batch import worker
from save_avs.batch.output import BulkFolder
from save_avs.batch.parquet import read

segment_one = worker._segment


def slowly(*args: Any) -> Any:
    time.sleep(float(os.environ.get("BULK_DELAY", "0")))
    return segment_one(*args)


if __name__ in ("__main__", "__mp_main__"):  # the second is what workers call the program they come from
    folder._MOST_CLIPS = 2
    worker._segment = slowly


def rows(path: Path) -> list[dict[str, Any]]:
    """What a run found, without the times of the machine, in order of the clips' names."""
    tables = [read(part) for part in sorted((path / "clips").glob("part-*.parquet"))]
    found = [row for table in tables for row in table.drop_columns(["seconds"]).to_pylist()]
    return sorted(found, key=lambda row: row["path"])


def failures(path: Path) -> list[dict[str, Any]]:
    return sorted(read(path / "failed.parquet").to_pylist(), key=lambda row: row["path"])


def results(path: Path) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Both, checked to be one result a clip."""
    done, failed = rows(path), failures(path)
    paths = [row["path"] for row in (*done, *failed)]
    assert len(paths) == len(set(paths))
    assert set(BulkFolder(path).done()) == {row["path"] for row in done}
    return done, failed


def program(*arguments: object, delay: float = 0.0, **more: Any) -> subprocess.Popen[str]:
    """Start ``save-avs segment`` with some arguments."""
    return subprocess.Popen(
        [sys.executable, __file__, "segment", *map(str, arguments)],
        env={**os.environ, "BULK_DELAY": str(delay)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **more,
    )


if __name__ == "__main__":
    from save_avs.cli import main

    sys.exit(main())
