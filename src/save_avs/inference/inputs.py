"""Which videos to segment: what the user named, without our own earlier results."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from save_avs.errors import UsageError
from save_avs.inference.output_files import OVERLAY_FILE, SUMMARY_FILE
from save_avs.video import find_videos


def find_input_videos(inputs: Iterable[str | Path]) -> list[Path]:
    """List the videos that files, folders and globs name, in order, each once.

    An overlay among earlier results counts only when it is named outright as a file.

    Raises:
        UsageError: an input that does not exist, or in which there is no video.
    """
    found: dict[Path, Path] = {}
    for item in inputs:
        paths = find_videos([item])
        if not Path(item).expanduser().is_file():
            paths = [path for path in paths if not _is_result(path)]
            if not paths:
                raise UsageError(f"{item}: no media file but results of this program")
        for path in paths:
            found.setdefault(path.resolve(), path)
    return list(found.values())


def _is_result(path: Path) -> bool:
    return path.name == OVERLAY_FILE and (path.parent / SUMMARY_FILE).is_file()
