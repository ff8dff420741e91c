"""`save-avs data shard`: a data set as a few tar files, for storage that is slow with many small ones."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from save_avs.cli._console import print_line
from save_avs.cli._options import DryRun
from save_avs.cli._progress import count
from save_avs.errors import UsageError

EXAMPLES = """Examples:

\b
  save-avs data shard s4 archives shards/s4
  save-avs data shard avss archives shards/avss --split train --size 1GB
  save-avs train configs/s4-256.yaml stages.train.data.root=shards/s4
"""
UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9}


def shard(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The data set: s4, ms3, v2, v3-0, ...")],
    root: Annotated[
        Path, typer.Argument(metavar="ROOT", help="The folder into which its archive was unpacked.")
    ],
    output: Annotated[Path, typer.Argument(metavar="OUT", help="The folder to make.")],
    split: Annotated[
        list[str] | None,
        typer.Option(
            "--split", metavar="train|val|test", show_default="all", help="Which; several may be given."
        ),
    ] = None,
    size: Annotated[
        str, typer.Option("--size", metavar="SIZE", help="Of a shard, about: 64MB, 1GB.")
    ] = "256MB",
    dry_run: DryRun = False,
) -> int:
    """Write a data set as WebDataset-style tar files with an index; OUT then stands wherever ROOT does."""
    from save_avs.datasets import available_splits, open_dataset
    from save_avs.datasets.shards import has_shards, write_shards

    limit = parse_size(size)
    if output.exists():
        raise UsageError(f"{output} exists already; remove it or choose another folder")
    if has_shards(root):
        raise UsageError(f"{root} holds shards already; copy them as they are")
    sets = [open_dataset(name, root, part) for part in dict.fromkeys(split or available_splits(name, root))]
    if not any(map(len, sets)):
        raise UsageError(f"{name} in {root} has no clip")
    if dry_run:
        for clips in sets:
            print_line(f"would shard {name} {clips.split}: {len(clips)} clips -> {output}")
        return 0
    folder = write_shards(
        sets, output, shard_bytes=limit, progress=lambda part, *done: count(f"{name} {part}", *done)
    )
    for clips in sets:
        tars = len(list(folder.glob(f"{clips.split}-*.tar")))
        print_line(f"{name} {clips.split}: {len(clips)} clips in {tars} {'shard' if tars == 1 else 'shards'}")
    print_line(f"shards: {folder}")
    return 0


def parse_size(text: str) -> int:
    """Bytes of ``64MB``, ``1.5G`` or ``4096``, in powers of ten.

    Raises:
        UsageError: when it is none of these.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMG]?)B?", text.strip(), re.IGNORECASE)
    if match is None or not float(match[1]):
        raise UsageError(f"--size {text}: write it as 64MB or 1GB")
    return round(float(match[1]) * UNITS[match[2].upper()])
