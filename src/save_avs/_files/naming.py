"""How videos are named in the files we write."""

from __future__ import annotations

from pathlib import Path


def path_text(path: Path) -> str:
    """Write a path as text that any file can hold: bytes that are no UTF-8 become question marks."""
    return str(path).encode("utf-8", "replace").decode("utf-8")


def resolved_path_text(path: Path) -> str:
    """Tell videos of one name apart: the whole path, by which a later run knows what is finished."""
    return path_text(path.resolve())
