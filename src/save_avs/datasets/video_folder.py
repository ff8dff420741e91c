"""Any folder of videos with masks.

On disk, each of these in the folder itself, or in its folders ``train``, ``val`` and ``test``::

    NAME.mp4                  any video that FFmpeg reads, with audio
    NAME.masks/000000.png     the mask of frame 0, in the video's own frame order; of some frames or of all
    scenes.json               optional: what sounds, as `save-avs data compose` writes it

A folder without split folders is all ``test``. Audio is paired with frames by their times. Of masks closer
than the benchmarks' pace, one per second is used.
"""

import json
from dataclasses import dataclass
from pathlib import PurePath

from save_avs.datasets.base import ClipMetadata
from save_avs.datasets.image_and_video_clips import MASKS, ClipEntry, VideoFileClip
from save_avs.datasets.spec import SPLITS, DatasetSpec
from save_avs.datasets.stored_files import exists, list_folder, read_file
from save_avs.errors import DataError, UsageError
from save_avs.video.discovery import VIDEO_SUFFIXES

SCENES = "scenes.json"


def _videos_in(folder: PurePath) -> list[PurePath]:
    """Return the videos of a folder that have masks next to them, sorted."""
    content = list_folder(folder)
    folders = set(content)
    return [
        path
        for path in content
        if path.suffix.lower() in VIDEO_SUFFIXES and path.with_suffix(MASKS) in folders
    ]


def _entries(folder: PurePath, split: str, _: int) -> list[ClipEntry]:
    if {path.name for path in list_folder(folder)} & set(SPLITS):
        folder = folder / split
    elif split != "test":
        raise UsageError(
            f"{folder} has no folders train, val and test, so all of it is 'test', not '{split}'"
        )
    categories = _read_categories(folder / SCENES)
    return [
        VideoFileClip(
            ClipMetadata(path.stem, path.stem, categories.get(path.name, ())),
            path,
            {
                int(mask.stem): mask
                for mask in list_folder(path.with_suffix(MASKS))
                if mask.suffix == ".png" and mask.stem.isdigit()
            },
        )
        for path in _videos_in(folder)
    ]


def _read_categories(path: PurePath) -> dict[str, tuple[str, ...]]:
    """Read what sounds in each video, by its file name, from ``scenes.json``."""
    if not exists(path):
        return {}
    try:
        return {
            scene["file"]: tuple(sorted({s["class"] for s in scene["audio_sources"] if s["in_view"]}))
            for scene in json.loads(read_file(path))
        }
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise DataError(f"{path}: not as `save-avs data compose` writes it ({error!r})") from error


@dataclass(frozen=True)
class _VideoFolderSpec(DatasetSpec):
    """Found by its videos instead of a table."""

    def find(self, root: PurePath) -> PurePath | None:
        """Return the root itself if it or one of its split folders has a video with masks."""
        folders = (root, *(root / split for split in SPLITS))
        return root if any(_videos_in(folder) for folder in folders) else None


VIDEO_FOLDER = _VideoFolderSpec(
    name="folder",
    title="videos with masks",
    folders=(),
    tables=(),
    official_counts={},
    entries=_entries,
    expected=f"NAME.mp4 next to NAME{MASKS}/000000.png",
)
