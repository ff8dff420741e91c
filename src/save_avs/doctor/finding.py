"""One thing that was looked at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Finding:
    """A fact about this installation.

    Attributes:
        section: what it belongs to.
        name: what was looked at.
        value: what was found, as JSON has it.
        problem: why nothing works like this; empty where all is well.
        hint: what could be had, and how; empty where nothing is missing.
    """

    section: str
    name: str
    value: Any
    problem: str = ""
    hint: str = ""
