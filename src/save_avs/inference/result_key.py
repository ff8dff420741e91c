"""What a result was made of, and how: an earlier result is reused only where nothing differs."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from save_avs._extras import package_version
from save_avs._files import open_regular
from save_avs._text import resolved_path_text
from save_avs.inference.settings import SegmentationSettings

_SAMPLE = 1 << 20  # bytes hashed at either end of a file
_MODEL = ("name", "checksum", "precision", "runtime")


def file_fingerprint(path: Path) -> dict[str, Any]:
    """Identify the content of a file: its size, time of change, and a hash of its first and last MiB.

    Of a folder, the names, sizes and times of the files in it.

    Raises:
        OSError: it cannot be read.
    """
    stat = path.stat()
    if path.is_dir():
        files = [(file.name, file.stat()) for file in sorted(path.iterdir())]
        entries = repr([(name, each.st_size, each.st_mtime_ns) for name, each in files])
        return {"files": len(files), "sha256": hashlib.sha256(entries.encode()).hexdigest()}
    with open_regular(path) as file:
        digest = hashlib.sha256(file.read(_SAMPLE))
        file.seek(max(0, stat.st_size - _SAMPLE))
        digest.update(file.read(_SAMPLE))
    return {"size": stat.st_size, "modified": stat.st_mtime_ns, "sha256": digest.hexdigest()}


def result_key(
    fingerprint: Mapping[str, Any], settings: SegmentationSettings, model: Mapping[str, Any]
) -> dict[str, Any]:
    """Return all that decides what a results folder contains, as JSON has it."""
    audio = resolved_path_text(Path(settings.audio)) if settings.audio else None
    options = asdict(settings) | {
        "outputs": sorted(settings.outputs),
        "fps": settings.fps or "native",
        "audio": audio,
    }
    return {
        "version": package_version(),
        "source": dict(fingerprint),
        "model": {name: model.get(name, "") for name in _MODEL},
        "settings": {name: list(x) if isinstance(x, tuple) else x for name, x in options.items()},
    }


def find_difference(found: Any, wanted: Mapping[str, Any]) -> str:
    """Return in words in what two keys differ; empty where they do not."""
    if not isinstance(found, dict):
        return "an earlier version wrote it"
    return ", ".join(_differences(found, wanted))


def _differences(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> Iterator[str]:
    for name, value in wanted.items():
        before = found.get(name)
        if before == value:
            continue
        if name == "source":
            before = before or {}
            if {**before, "audio": None} != {**value, "audio": None}:
                yield "the file has changed"
            elif "audio" in before and "audio" in value:  # else another setting differs
                yield "the file of its sound has changed"
        elif isinstance(value, dict) and isinstance(before, dict):
            yield from _differences(before, value)
        else:
            yield f"{name} was {_text(before)}, is {_text(value)}"


def _text(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else "none" if value is None else str(value)
