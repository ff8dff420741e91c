"""Finding video files: inputs given as files, folders or glob patterns become a list of paths."""

import glob
from collections.abc import Iterable
from pathlib import Path

from save_avs.errors import UsageError

# What a folder is searched for. A file that is named itself may have any suffix.
VIDEO_SUFFIXES = frozenset(
    {".3g2", ".3gp", ".asf", ".avi", ".divx", ".dv", ".f4v", ".flv", ".gif", ".m2ts", ".m2v", ".m4v"}
    | {".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts", ".mxf", ".nut", ".ogm", ".ogv", ".qt", ".rm"}
    | {".rmvb", ".ts", ".vob", ".webm", ".wmv", ".y4m"}
)


def find_videos(inputs: Iterable[str | Path]) -> list[Path]:
    """List the video files that the inputs name, in order, each once.

    An input is a file, a folder (searched recursively for known video suffixes, without hidden files) or a
    glob pattern (``**`` matches subfolders).

    Raises:
        UsageError: an input does not exist, a folder or pattern has no video file, or there is no input.
    """
    found: dict[Path, Path] = {}
    for item in inputs:
        for path in _expand(str(item)):
            found.setdefault(path.resolve(), path)
    if not found:
        raise UsageError("no input: name a video file, a folder or a pattern such as 'clips/*.mp4'")
    return list(found.values())


def _expand(item: str) -> list[Path]:
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
    return sorted(p for p in folder.rglob("*") if _is_video(p) and not _is_hidden(p.relative_to(folder)))


def _is_video(path: Path) -> bool:
    return path.suffix.lower() in VIDEO_SUFFIXES and path.is_file()


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)
