"""The data sets by name."""

from __future__ import annotations

from pathlib import Path

from save_avs.audio.frontend import VGGISH, Frontend
from save_avs.datasets import avss, folder, ms3, s4, synthetic, v3
from save_avs.datasets.clips import ClipDataset
from save_avs.datasets.shards.spec import holds_shards, in_shards
from save_avs.datasets.spec import SPLITS, DatasetSpec
from save_avs.errors import UsageError

SPECS: dict[str, DatasetSpec] = {
    spec.name: spec for spec in (s4.SPEC, ms3.SPEC, *avss.SPECS, *v3.SPECS, synthetic.SPEC, folder.SPEC)
}
DATASETS = tuple(SPECS)


def find_spec(name: str) -> DatasetSpec:
    """The subset of a name.

    Raises:
        UsageError: when there is none.
    """
    if name not in SPECS:
        raise UsageError(f"unknown data set '{name}': choose one of {', '.join(DATASETS)}")
    return SPECS[name]


def resolve_spec(name: str, root: str | Path) -> DatasetSpec:
    """The subset of a name as it lies in a folder: in its own layout, or in shards.

    Raises:
        UsageError: when there is no such subset, or the folder holds shards of another.
        DataError: when the index of the shards is broken.
    """
    spec = find_spec(name)
    return in_shards(spec, Path(root)) if holds_shards(Path(root)) else spec


def open_dataset(
    name: str, root: str | Path, split: str, *, seed: int = 0, frontend: Frontend = VGGISH
) -> ClipDataset:
    """Open one split of a data set; nothing but its tables is read yet.

    Args:
        name: one of ``DATASETS``.
        root: the folder into which the archives were unpacked, the subset's own folder, or one of shards.
        split: ``train``, ``val`` or ``test``.
        seed: what AVS-Synthetic's training sounds are drawn from, with the clip's index.
        frontend: what the patches of the clips are to be: the model's.

    Raises:
        UsageError: on an unknown name or split, or a root that does not hold the data set.
        DataError: when a table is broken, or a shard missing or torn.
    """
    spec = resolve_spec(name, root)
    if split not in SPLITS:
        raise UsageError(f"unknown split '{split}': choose one of {', '.join(SPLITS)}")
    home = spec.home(Path(root))
    return ClipDataset(spec.name, split, spec.classes(home), spec.entries(home, split, seed), frontend)


def available_splits(name: str, root: str | Path) -> list[str]:
    """The splits that a data set has there: a folder of films, or of shards, need not have them all.

    Raises:
        UsageError: on an unknown name, or a root that does not hold the data set.
        DataError: when a table is broken, or a shard missing or torn.
    """
    resolve_spec(name, root).home(Path(root))
    offered = []
    for split in SPLITS:
        try:
            offered += [split] if len(open_dataset(name, root, split)) else []
        except UsageError:
            continue  # a folder of films without split folders is all test
    return offered
