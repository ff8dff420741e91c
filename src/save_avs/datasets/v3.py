"""AVSBench V3: classes that training never hears, without a shot of them or with a few.

Its tables (of the GAVS repository) lie beside AVSBench-semantic's ``metadata.csv`` and choose among its
clips. Zero-shot: train on the seen classes, choose on their validation clips, test on the unseen ones.
Few-shot: train goes on with the shots, and test has a list of its own for each number of them.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from save_avs.datasets import avss
from save_avs.datasets.clip_files import read_table
from save_avs.datasets.clips import ClipEntry
from save_avs.datasets.spec import DatasetSpec
from save_avs.errors import DataError

SHOTS = (0, 1, 3, 5)
SEEN_VAL = "meta_v3_seen_val.csv"
COLUMNS = ("uid",)  # the few-shot tables leave a_obj, s_min and s_sec empty, and their split says nothing
_COUNTS = {0: (4807, 535, 758), 1: (11, 535, 532), 3: (33, 535, 510), 5: (55, 535, 488)}


def tables(shots: int) -> dict[str, str]:
    """Which table lists the clips of a split."""
    if shots == 0:
        return {"train": "meta_v3_seen_train.csv", "val": SEEN_VAL, "test": "meta_v3_unseen.csv"}
    return {"train": f"v3_{shots}_shot_train.csv", "val": SEEN_VAL, "test": f"v3_{shots}_shot_test.csv"}


def _entries(shots: int, home: Path, split: str, _: int) -> list[ClipEntry]:
    known = {row["uid"]: row for row in read_table(home / avss.TABLE, avss.COLUMNS)}
    classes = len(avss.class_names(home))
    table = home / tables(shots)[split]
    chosen = [row["uid"] for row in read_table(table, COLUMNS)]
    strangers = [uid for uid in chosen if uid not in known]
    if strangers:
        raise DataError(f"{table}: {len(strangers)} clips are not in {avss.TABLE}, such as {strangers[0]}")
    return [avss.entry(home, known[uid], classes=classes) for uid in chosen]


def _spec(shots: int) -> DatasetSpec:
    return DatasetSpec(
        name=f"v3-{shots}",
        title=f"AVSBench V3, {shots}-shot" if shots else "AVSBench V3, zero-shot",
        homes=avss.HOMES,
        tables=(tables(shots)["test"], *tables(shots).values(), avss.TABLE),
        counts=dict(zip(("train", "val", "test"), _COUNTS[shots], strict=True)),
        entries=partial(_entries, shots),
        classes=avss.class_names,
    )


SPECS = tuple(_spec(shots) for shots in SHOTS)
