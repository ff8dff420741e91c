"""One command that is disturbed while it works: how it is asked, and what of it is done."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

Outcome = Mapping[str, str]  # each thing that is done, and a digest of what came of it


def leave_alone(process: subprocess.Popen[str], place: Path) -> str:
    """Most commands need nothing until they end."""
    return ""


@dataclass(frozen=True)
class Operation:
    """A command.

    Attributes:
        name: of the table.
        prepare: writes what it works on into an empty folder, the place.
        ask: the arguments of ``save-avs`` at a place; the same resumes; output goes to ``place/out``.
        done: what is done at a place, as far as it has come.
        attend: what is done meanwhile, until it is to end; returns what was read of stderr.
        codes: exit codes of one that has finished.
        environment: of its process, at a place.
    """

    name: str
    prepare: Callable[[Path], None]
    ask: Callable[[Path], list[str]]
    done: Callable[[Path], Outcome]
    attend: Callable[[subprocess.Popen[str], Path], str] = leave_alone
    codes: tuple[int, ...] = (0,)
    environment: Callable[[Path], Mapping[str, str]] = lambda place: {}


def digest(content: bytes) -> str:
    """Enough of a sha256 to tell two files apart."""
    return hashlib.sha256(content).hexdigest()[:16]


def digests(folder: Path, pattern: str) -> Outcome:
    """Of the files in a folder that match."""
    return {str(path.relative_to(folder)): digest(path.read_bytes()) for path in sorted(folder.glob(pattern))}
