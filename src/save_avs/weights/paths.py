"""Where the weights lie: a file, or a Hugging Face folder that holds one."""

from __future__ import annotations

from pathlib import Path

from save_avs.errors import UsageError

FOLDER_FILES = ("model.safetensors", "pytorch_model.bin")


def find_weights_file(path: Path) -> Path:
    """The file that holds the weights: the path itself, or the one inside a Hugging Face folder.

    Raises:
        UsageError: when there is no such file.
    """
    if path.is_file():
        return path
    if not path.exists():
        raise UsageError(f"{path}: no such file or folder; give a checkpoint, or the folder that holds it")
    if not path.is_dir():
        raise UsageError(f"{path}: not a file")
    for name in FOLDER_FILES:
        if (path / name).is_file():
            return path / name
    raise UsageError(f"{path}: the folder holds none of {', '.join(FOLDER_FILES)}")
