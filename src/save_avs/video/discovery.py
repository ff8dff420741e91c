"""Which files a user means: files, folders and globs become a list of media files."""

from __future__ import annotations

import glob
from collections.abc import Iterable
from pathlib import Path

from save_avs.errors import UsageError

# What a folder is searched for. A file named outright is taken whatever its suffix.
VIDEO_SUFFIXES = frozenset(
    {".3g2", ".3gp", ".asf", ".avi", ".divx", ".dv", ".f4v", ".flv", ".gif", ".m2ts", ".m2v", ".m4v"}
    | {".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts", ".mxf", ".nut", ".ogm", ".ogv", ".qt", ".rm"}
    | {".rmvb", ".ts", ".vob", ".webm", ".wmv", ".y4m"}
)


def find_videos(inputs: Iterable[str | Path]) -> list[Path]:
    """List the media files that the inputs name, in order, each once.

    An input is a file, a folder (searched with its subfolders for known video suffixes, hidden files
    left out) or a glob pattern (``**`` goes into subfolders).

    Raises:
        UsageError: an input that does not exist, a folder or pattern without a media file, no input.
    """
    found: dict[Path, Path] = {}
    for item in inputs:
        for path in _expand(str(item)):
            found.setdefault(path.resolve(), path)
    if not found:
        raise UsageError("no input: name a video file, a folder or a pattern such as 'clips/*.mp4'")
    return list(found.values())


def _expand(item: str) -> list[Path]:
    if not item:  # a shell's empty variable, which Path takes for this folder
        raise UsageError("an input is empty: name a video file, a folder or a pattern")
    path = Path(item).expanduser()
    if path.is_file():
        return [path]
    if path.is_dir():
        media = _media_in(path)
        if not media:
            raise UsageError(f"{item}: no media file in this folder")
        return media
    if not glob.has_magic(item):
        raise UsageError(f"{item}: no such file or folder")
    hits = [Path(hit) for hit in sorted(glob.glob(str(path), recursive=True))]  # noqa: PTH207, Path.glob refuses absolute patterns
    media = [p for hit in hits for p in (_media_in(hit) if hit.is_dir() else [hit]) if _is_media(p)]
    if not media:
        raise UsageError(f"{item}: no media file matches this pattern")
    return media


def _media_in(folder: Path) -> list[Path]:
    return sorted(p for p in folder.rglob("*") if _is_media(p) and _is_visible(p.relative_to(folder)))


def _is_media(path: Path) -> bool:
    return path.suffix.lower() in VIDEO_SUFFIXES and path.is_file()


def _is_visible(path: Path) -> bool:
    return not any(part.startswith(".") for part in path.parts)
