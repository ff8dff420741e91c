"""The data sets by name."""

from __future__ import annotations

from pathlib import Path

from save_avs.data.benchmarks import avss, folder, ms3, s4, synthetic, v3
from save_avs.data.benchmarks.clips import Clips
from save_avs.data.benchmarks.spec import SPLITS, Spec
from save_avs.errors import UsageError

SPECS: dict[str, Spec] = {
    spec.name: spec for spec in (s4.SPEC, ms3.SPEC, *avss.SPECS, *v3.SPECS, synthetic.SPEC, folder.SPEC)
}
DATASETS = tuple(SPECS)


def find_spec(name: str) -> Spec:
    """The subset of a name.

    Raises:
        UsageError: when there is none.
    """
    if name not in SPECS:
        raise UsageError(f"unknown data set '{name}': choose one of {', '.join(DATASETS)}")
    return SPECS[name]


def open_clips(name: str, root: str | Path, split: str, *, seed: int = 0) -> Clips:
    """Open one split of a data set; nothing but its tables is read yet.

    Args:
        name: one of ``DATASETS``.
        root: the folder into which the archives were unpacked, or the subset's own folder.
        split: ``train``, ``val`` or ``test``.
        seed: what AVS-Synthetic's training sounds are drawn from, with the clip's index.

    Raises:
        UsageError: on an unknown name or split, or a root that does not hold the data set.
        DataError: when a table is broken.
    """
    spec = find_spec(name)
    if split not in SPLITS:
        raise UsageError(f"unknown split '{split}': choose one of {', '.join(SPLITS)}")
    home = spec.home(Path(root))
    return Clips(spec.name, split, spec.classes(home), spec.entries(home, split, seed))
