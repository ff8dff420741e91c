"""Format and completeness of weight files by their bytes, before anything is unpickled."""

import json
import zipfile
from enum import StrEnum
from pathlib import Path

_MAX_HEADER = 4 * 2**20  # bytes of safetensors; a large model's are 100 KB, and each takes ten in memory


class WeightsFormat(StrEnum):
    """Format of a weight file."""

    SAFETENSORS = "safetensors"
    TORCH_ZIP = "torch's format"
    TORCH_LEGACY = "torch's older format"
    JSON = "JSON"
    UNKNOWN = "no weights"


def detect_format(file: Path) -> WeightsFormat:
    """Return the format that the first bytes show."""
    with file.open("rb") as stream:
        head = stream.read(10)
    if head.startswith(b"PK"):
        return WeightsFormat.TORCH_ZIP
    if head.startswith(b"\x80\x02"):
        return WeightsFormat.TORCH_LEGACY
    if len(head) == 10 and head[8:9] == b"{" and int.from_bytes(head[:8], "little") < 2**32:
        return WeightsFormat.SAFETENSORS
    return WeightsFormat.JSON if head[:1] in (b"{", b"[") else WeightsFormat.UNKNOWN


def find_defect(file: Path, wanted: str = "") -> str | None:
    """Describe why a file is not weights (or, named .json, not JSON), or incomplete; None if it seems fine.

    The suffix of ``wanted``, else of the file's own name, shows what it should be. Of torch's older format
    only the start is checked: it does not hold its length.
    """
    kind = detect_format(file)
    if Path(wanted or file.name).suffix == ".json":
        try:
            json.loads(file.read_bytes())
        except ValueError:
            return "it is not JSON"
        return None
    if kind is WeightsFormat.SAFETENSORS:
        return _safetensors_defect(file)
    if kind is WeightsFormat.TORCH_ZIP:
        return None if zipfile.is_zipfile(file) else "it is cut short"
    return None if kind is WeightsFormat.TORCH_LEGACY else f"it is not a weight file but {_preview(file)}"


def _safetensors_defect(file: Path) -> str | None:
    with file.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        if length > _MAX_HEADER:
            return f"its header declares {length:,} bytes, more than the {_MAX_HEADER:,} that are accepted"
        try:
            header = json.loads(stream.read(length))
            ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
            expected = 8 + length + max(ends, default=0)
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
            return "its header is damaged or cut short"
    if (actual := file.stat().st_size) == expected:
        return None
    return f"it has {actual:,} bytes instead of the {expected:,} of its header"


def _preview(file: Path) -> str:
    with file.open("rb") as stream:
        head = stream.read(60)
    if not head:
        return "empty (0 bytes)"
    if head.startswith(b"version https://git-lfs"):
        return "a Git LFS pointer; `git lfs pull` gets what it points to"
    text = " ".join(head.decode("ascii", "replace").split())
    return f'text ("{text}")' if text.isprintable() and "\ufffd" not in text else "other data"
