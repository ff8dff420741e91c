"""Environment of a study, for its reproduction: command, machine, versions."""

from __future__ import annotations

import platform
import shlex
import sys

import torch

import save_avs
from save_avs.training.run_record import cpu_name


def command_line() -> str:
    """Return the command line of this process."""
    return shlex.join(["python", "-m", "studies", *sys.argv[1:]])


def describe_machine() -> str:
    """Describe CPU or GPU, threads, torch and operating system."""
    if torch.cuda.is_available():
        return f"{torch.cuda.get_device_name()}, torch {torch.__version__}"
    threads = torch.get_num_threads()
    plural = "s" if threads > 1 else ""
    return f"{cpu_name()}, {threads} thread{plural}, torch {torch.__version__}, {platform.system()}"


def describe_environment(**facts: object) -> dict[str, str]:
    """Collect command, machine and version, with further facts such as seeds, sizes and data."""
    return {
        "command": command_line(),
        **{name.replace("_", " "): str(value) for name, value in facts.items()},
        "machine": describe_machine(),
        "version": save_avs.__version__,
    }
