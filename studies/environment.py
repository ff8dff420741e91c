"""What one needs to know to make a study's figures again."""

from __future__ import annotations

import shlex
import sys

import save_avs
from studies.budget import machine


def describe_environment(**facts: object) -> dict[str, str]:
    """The command and the machine, and what else is known of a study: seeds, sizes, data."""
    return {
        "command": f"save-avs {shlex.join(sys.argv[1:])}",
        **{name.replace("_", " "): str(value) for name, value in facts.items()},
        "machine": machine(),
        "version": save_avs.__version__,
    }
