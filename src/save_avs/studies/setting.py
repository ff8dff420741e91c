"""What one needs to know to make a study's figures again."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path

import save_avs
from save_avs.training.watching.record import cpu_name


def setting_here(**facts: object) -> dict[str, str]:
    """The command and the machine, and what else is known of a study: seeds, sizes, data."""
    import torch

    program = Path(sys.argv[0]).name
    cores, threads = os.cpu_count(), torch.get_num_threads()
    machine = f"{cpu_name()}, {cores} cores, {threads} thread{'' if threads == 1 else 's'}"
    return {
        "command": shlex.join([program, *sys.argv[1:]]),
        **{name.replace("_", " "): str(value) for name, value in facts.items()},
        "machine": machine,
        "versions": f"save-avs {save_avs.__version__}, torch {torch.__version__}",
    }
