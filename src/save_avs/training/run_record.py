"""The record of a run: the resolved recipe (recipe.yaml), and the machine and software (environment.json)."""

import json
import os
import platform
import re
import shlex
import subprocess
import sys
from contextlib import suppress
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
import yaml

from save_avs._extras import package_version
from save_avs._files import atomic_write
from save_avs._text import json_document
from save_avs.training.recipe import Recipe
from save_avs.weights.cache import identify_published, resolve_weights

RECIPE, ENVIRONMENT = "recipe.yaml", "environment.json"
GIT_TIMEOUT_S = 10.0  # a repository on a sleeping disk must not hold up a training


def write_run_record(recipe: Recipe, *, processes: int = 1) -> None:
    """Write both files into the run's folder; environment.json gets one more session each time."""
    header = f"# Recipe as resolved by save-avs {package_version()}; run it with `save-avs train`.\n"
    text = yaml.safe_dump(recipe.model_dump(mode="json"), sort_keys=False, allow_unicode=True, width=110)
    session = describe_session(recipe, processes=processes)
    atomic_write(recipe.out / RECIPE, header + text)
    document = {"version": 1, "sessions": [*read_sessions(recipe.out), session]}
    atomic_write(recipe.out / ENVIRONMENT, json_document(document))


def read_sessions(out: Path) -> list[dict[str, Any]]:
    """Return the sessions of a run so far; none where nothing readable was written."""
    try:
        return list(json.loads((out / ENVIRONMENT).read_text())["sessions"])
    except (OSError, ValueError, KeyError, TypeError):
        return []


def describe_session(recipe: Recipe, *, processes: int) -> dict[str, Any]:
    """Return the command, the pretrained weights, the machine and the software of this process."""
    return {
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": shlex.join(sys.argv),
        "processes": processes,
        "seeds": {stage.name: stage.seed for stage in recipe.stages},
        "pretrained": {
            part: identify_published(resolve_weights(path)).model_dump()
            for part, path in recipe.pretrained
            if path is not None
        },
        "git": git_state(Path.cwd()),
        "save-avs": package_version(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpu": {"name": cpu_name(), "cores": os.cpu_count(), "threads": torch.get_num_threads()},
        "gpus": [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())],
        "cuda": torch.version.cuda,
        "packages": package_versions(),
    }


def git_state(folder: Path) -> dict[str, Any] | None:
    """Return the commit of a folder's repository, and whether files differ from it; None without one."""
    git = ["git", "-C", str(folder)]
    try:
        commit, changes = (
            subprocess.check_output(
                [*git, *args], stderr=subprocess.DEVNULL, text=True, timeout=GIT_TIMEOUT_S
            )
            for args in (("rev-parse", "HEAD"), ("status", "--porcelain", "-uno"))
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return {"commit": commit.strip(), "dirty": bool(changes.strip())}


def cpu_name() -> str:
    """Return the CPU's name where the system reports it, else its architecture."""
    try:
        found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    except OSError:
        found = None
    return found.group(1) if found else platform.processor() or platform.machine()


def package_versions() -> dict[str, str]:
    """Return the installed versions of the package's dependencies, extras included."""
    try:
        requirements = metadata.requires("save-avs") or []
    except metadata.PackageNotFoundError:
        requirements = ["torch", "numpy"]
    versions = {}
    for name in sorted({re.split(r"[^\w.-]", requirement, maxsplit=1)[0] for requirement in requirements}):
        with suppress(metadata.PackageNotFoundError):
            versions[name] = metadata.version(name)
    return versions
