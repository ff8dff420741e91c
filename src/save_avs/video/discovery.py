"""Finding the video files that a file, a folder or a glob pattern names."""

import glob
from pathlib import Path

from save_avs.errors import UsageError

# What a folder is searched for. A file that is named itself may have any suffix.
VIDEO_SUFFIXES = frozenset(
    {".3g2", ".3gp", ".asf", ".avi", ".divx", ".dv", ".f4v", ".flv", ".gif", ".m2ts", ".m2v", ".m4v"}
    | {".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts", ".mxf", ".nut", ".ogm", ".ogv", ".qt", ".rm"}
    | {".rmvb", ".ts", ".vob", ".webm", ".wmv", ".y4m"}
)


def find_videos(item: str) -> list[Path]:
    """List the video files that an input names, in order.

    An input is a file, a folder (searched recursively for known video suffixes, without hidden files) or a
    glob pattern (``**`` matches subfolders).

    Raises:
        UsageError: the input does not exist, or the folder or pattern has no video file.
    """
    if not item:  # an unset variable of the shell, which Path takes for the current folder
        raise UsageError("an input is empty: name a video file, a folder or a pattern")
    path = Path(item).expanduser()
    if path.is_file():
        return [path]
    if path.is_dir():
        videos = _videos_in(path)
        if not videos:
            raise UsageError(f"{item}: no video file in this folder")
        return videos
    if not glob.has_magic(item):
        raise UsageError(f"{item}: no such file or folder")
    matches = [Path(match) for match in sorted(glob.glob(str(path), recursive=True))]  # noqa: PTH207, Path.glob refuses absolute patterns
    videos = [p for m in matches for p in (_videos_in(m) if m.is_dir() else [m]) if _is_video(p)]
    if not videos:
        raise UsageError(f"{item}: no video file matches this pattern")
    return videos


def _videos_in(folder: Path) -> list[Path]:
    found = (p for p in folder.rglob("*") if _is_video(p))
    return sorted(p for p in found if not any(x.startswith(".") for x in p.relative_to(folder).parts))


def _is_video(path: Path) -> bool:
    return path.suffix.lower() in VIDEO_SUFFIXES and path.is_file()
