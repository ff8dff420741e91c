"""AVS-Synthetic (Zenodo 8125822): images with the mask of one object, under audio of its class."""

from pathlib import PurePath

import numpy as np

from save_avs.datasets.base import ClipMetadata
from save_avs.datasets.clip_files import ClipPaths, read_csv, read_plain_pickle
from save_avs.datasets.image_and_video_clips import ClipEntry, ImageSequenceClip
from save_avs.datasets.spec import DatasetSpec
from save_avs.datasets.stored_files import PathT
from save_avs.errors import DataError

TABLE = "annotations.csv"
AUDIO_TABLE = "category_for_vggsound_audios.pkl"
SPLIT_NAMES = {"train": "train", "val": "validate", "test": "test"}  # ours to the table's
PATCH = 1  # the second 0.96 s of the audio goes with the image

_COLUMNS = 9
# The table is read by position: column and suffix of what is used.
_USED = {
    "instance": (0, ".png"),
    "image": (1, ".jpg"),
    "class": (4, ""),
    "class_index": (5, ""),
    "audio": (8, ".wav"),
}


def clip_paths(folder: PathT, *, instance: str, image: str, audio: str) -> ClipPaths[PathT]:
    """Return the files of an instance: its image, mask and audio."""
    return ClipPaths(
        frames=(folder / "images" / f"{image}.jpg",),
        annotations=(folder / "masks" / f"{instance}.png",),
        audio=folder / "audios" / f"{audio}.wav",
    )


def read_annotations(path: PurePath) -> list[dict[str, str]]:
    """Read ``annotations.csv``: names without suffix, class name and index, split; a DataError if broken."""
    header, *rows = read_csv(path) or [[]]
    if "split" not in header or any(len(row) < _COLUMNS for row in (header, *rows)):
        raise DataError(f"{path}: must have {_COLUMNS} columns in each row, one of them named 'split'")
    used = _USED | {"split": (header.index("split"), "")}
    return [{name: row[k].removesuffix(suffix) for name, (k, suffix) in used.items()} for row in rows]


def read_audio_names(path: PurePath) -> dict[str, list[str]]:
    """Read which audio files a class has: its index in the table to file names without suffix.

    A DataError if it is missing, or is not a plain dictionary of lists of names.
    """
    table = read_plain_pickle(path)
    if not isinstance(table, dict) or not all(
        isinstance(names, list | tuple) and all(isinstance(name, str) for name in names)
        for names in table.values()
    ):
        raise DataError(f"{path}: must hold a dictionary from class index to lists of audio files")
    return {str(index): [name.removesuffix(".wav") for name in names] for index, names in table.items()}


def _entries(folder: PurePath, split: str, seed: int) -> list[ClipEntry]:
    rows = [row for row in read_annotations(folder / TABLE) if row["split"] == SPLIT_NAMES[split]]
    choices = read_audio_names(folder / AUDIO_TABLE) if split == "train" else {}

    def audio_of(row: dict[str, str], i: int) -> str:
        """Training draws audio of the class from (seed, index); elsewhere the table's own is used."""
        names = choices.get(row["class_index"])
        return names[np.random.default_rng((seed, i)).integers(len(names))] if names else row["audio"]

    return [
        ImageSequenceClip(
            ClipMetadata(row["instance"], row["image"], (row["class"],)),
            clip_paths(folder, instance=row["instance"], image=row["image"], audio=audio_of(row, i)),
            first_log_mel_patch=PATCH,
        )
        for i, row in enumerate(rows)
    ]


AVS_SYNTHETIC = DatasetSpec(
    name="synthetic",
    title="AVS-Synthetic",
    folders=("AVS-Synthetic",),
    tables=(TABLE, AUDIO_TABLE),
    official_counts={},  # the release states none
    entries=_entries,
    has_random_audio=True,
)
