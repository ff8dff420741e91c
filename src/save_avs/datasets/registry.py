"""Data sets by name."""

from pathlib import PurePath

from save_avs.audio.frontend import VGGISH, Frontend
from save_avs.datasets.avs_synthetic import AVS_SYNTHETIC
from save_avs.datasets.avsbench_object import MS3, S4
from save_avs.datasets.avsbench_semantic import AVSS, V3
from save_avs.datasets.image_and_video_clips import ClipDataset
from save_avs.datasets.shards import has_shards, sharded_spec
from save_avs.datasets.spec import SPLITS, DatasetSpec
from save_avs.datasets.stored_files import data_path
from save_avs.datasets.video_folder import VIDEO_FOLDER
from save_avs.errors import UsageError

SPECS: dict[str, DatasetSpec] = {
    spec.name: spec for spec in (S4, MS3, *AVSS, *V3, AVS_SYNTHETIC, VIDEO_FOLDER)
}
DATASETS = tuple(SPECS)


def resolve_spec(name: str, root: str | PurePath) -> DatasetSpec:
    """Return the spec of a data set as stored in a folder or at a URL: in its own layout, or in shards.

    Raises:
        UsageError: the name is unknown, the shards are of another data set, or the URL cannot be read.
        DataError: the index of the shards is broken.
    """
    if name not in SPECS:
        raise UsageError(f"Unknown data set '{name}'. Choose from: {', '.join(DATASETS)}.")
    spec, folder = SPECS[name], data_path(root)
    return sharded_spec(spec, folder) if has_shards(folder) else spec


def open_dataset(
    name: str, root: str | PurePath, split: str, *, seed: int = 0, frontend: Frontend = VGGISH
) -> ClipDataset:
    """Open one split of a data set; only its tables are read.

    Args:
        name: one of ``DATASETS``.
        root: the folder into which the archives were unpacked, the subset's own folder, or one of shards; or
            the URL of such a folder (``s3://``, ``https://``), whose files are copied when first read.
        split: ``train``, ``val`` or ``test``.
        seed: selects the audio of AVS-Synthetic's training clips, with the clip's index.
        frontend: how the log-mel of the clips is computed; use the model's.

    Raises:
        UsageError: the name or split is unknown, or the root does not hold the data set.
        DataError: a table is broken, or a shard missing or truncated.
    """
    root = data_path(root)
    spec = resolve_spec(name, root)
    if split not in SPLITS:
        raise UsageError(f"Unknown split '{split}'. Choose from: {', '.join(SPLITS)}.")
    folder = spec.locate(root)
    entries = spec.entries(folder, split, seed)
    return ClipDataset(spec.name, split, spec.classes(folder), entries, frontend, folder)


def available_splits(name: str, root: str | PurePath) -> list[str]:
    """Return the splits with clips: a folder of videos, or of shards, need not have them all."""
    resolve_spec(name, root).locate(data_path(root))
    available = []
    for split in SPLITS:
        try:
            available += [split] if len(open_dataset(name, root, split)) else []
        except UsageError:
            continue  # a folder of videos without split folders is all test
    return available
