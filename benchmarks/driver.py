"""What the driver of a bulk run spends: bytes a name it knows, processor time and bytes a result it writes.

    python benchmarks/driver.py TABLES [--names 200000] [--results 500]

TABLES is the folder of a bulk run. Its results are written again, under other names, to a temporary folder.
"""

from __future__ import annotations

import argparse
import pickle
import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import cycle, islice
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil
from pyarrow import dataset
from save_avs.batch.messages import Done
from save_avs.batch.parquet import track_of

from save_avs.batch.manifest import find_entries
from save_avs.batch.output import CLIPS, BulkFolder
from save_avs.batch.run import plan_run
from save_avs.types import VideoMasks

NAME = "s3://archive-of-videos/{:04}/clip-{:012}.mp4"
NOTHING = VideoMasks(size=(1, 1), indices=(), times=(), scores=(), counts=())


def results_of(tables: Path) -> list[Done]:
    """The results of a bulk run."""
    rows = dataset.dataset(tables / CLIPS).to_table().to_pylist()
    names = ("identity", "model", "fps", "duration", "overlay", "seconds")
    return [
        Done(
            name=row["path"],
            video_masks=track_of(row),
            warnings=tuple(row["warnings"]),
            **{name: row[name] for name in names},
        )
        for row in rows
    ]


def renamed(results: list[Done], count: int) -> Iterator[Done]:
    """So many results, each under a name of its own."""
    for number, result in enumerate(islice(cycle(results), count)):
        yield replace(result, name=NAME.format(number % 1000, number))


def time_results(results: list[Done], count: int, folder: BulkFolder) -> float:
    """Processor seconds a result: from what an actor sends to a part on the disk."""
    sent = [pickle.dumps(result) for result in renamed(results, count)]
    with folder.opened({}) as written:
        start = time.process_time()
        for message in sent:
            written.add(pickle.loads(message))
        written.flush()
        return (time.process_time() - start) / count


def weigh_names(count: int, folder: Path) -> tuple[float, float]:
    """Bytes of the driver's memory a name: of a clip that is to do, and of one with a result."""
    manifest = folder / "clips.txt"
    names = (NAME.format(number % 1000, number) for number in range(count))
    manifest.write_text("\n".join(names), encoding="utf-8")
    bulk = BulkFolder(folder / "tables")
    process = psutil.Process()
    start = process.memory_info().rss
    entries = find_entries([], manifest)
    plan = plan_run(entries, bulk)
    todo = process.memory_info().rss - start
    like = Done(
        name="",
        identity='123456 bytes, "0123456789abcdef0123456789abcdef"',
        model="save-tiny, bf16, torch",
        video_masks=NOTHING,
        fps=25.0,
        duration=10.0,
        warnings=(),
        overlay=None,
        seconds=1.0,
    )
    with bulk.opened({}) as written:
        for entry in plan.todo:
            written.add(replace(like, name=entry.name))
    start = process.memory_info().rss
    known = bulk.done()
    return todo / len(plan.todo), (process.memory_info().rss - start) / len(known)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("tables", type=Path, metavar="TABLES")
    parser.add_argument("--names", type=int, default=200_000)
    parser.add_argument("--results", type=int, default=500)
    given = parser.parse_args()
    results = results_of(given.tables)
    size = sum(part.stat().st_size for part in (given.tables / CLIPS).iterdir())
    frames = sum(len(result.video_masks.counts) for result in results)
    with TemporaryDirectory() as name:
        todo, done = weigh_names(given.names, Path(name))
        seconds = time_results(results, given.results, BulkFolder(Path(name) / "again"))
    print(f"{len(results)} clips, {frames / len(results):.0f} frames a clip")
    print(f"bytes a clip on the disk: {size / len(results):,.0f}")
    print(f"processor time of the driver: {1e3 * seconds:.2f} ms a result")
    print(f"memory of the driver: {todo:.0f} bytes a name to do, {done:.0f} more a name that is done")


if __name__ == "__main__":
    main()
