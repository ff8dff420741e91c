"""The identity of a weight file: its name, its size and its sha256."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

from pydantic import BaseModel, ConfigDict, Field

from save_avs._files import open_regular

_CHUNK = 2**20  # bytes read at a time


class FileIdentity(BaseModel):
    """What identifies a weight file."""

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid", frozen=True)

    name: str  # the name it is published under, or the file's own
    size: int = Field(gt=0)  # bytes
    sha256: str = Field(pattern="^[0-9a-f]{64}$")  # of the complete file, 64 hexadecimal digits

    def matches(self, other: FileIdentity | None) -> bool:
        """Return whether it is the same file, under any name."""
        return other is not None and (self.size, self.sha256) == (other.size, other.sha256)

    def __str__(self) -> str:
        return f"{self.name} ({self.size:,} bytes, sha256 {self.sha256[:12]}...)"


def sha256_of(file: Path, on_bytes: Callable[[int], None] = lambda _: None) -> str:
    """Return the sha256 of a file in hexadecimal; ``on_bytes`` receives the size of each chunk read."""
    digest = hashlib.sha256()
    with open_regular(file) as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
            on_bytes(len(chunk))
    return digest.hexdigest()


def identify_file(file: Path, name: str | None = None) -> FileIdentity:
    """Read a file completely and return its identity."""
    return FileIdentity(name=name or file.name, size=file.stat().st_size, sha256=sha256_of(file))
