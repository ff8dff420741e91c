"""The record of a run: what was asked for (recipe.yaml), and in which surroundings (environment.json)."""

from __future__ import annotations

import json
import os
import platform
import re
import shlex
import subprocess
import sys
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import save_avs
from save_avs._files import atomic_write
from save_avs.training.recipe import Recipe
from save_avs.weights.cache import identify_published, resolve_weights

RECIPE, ENVIRONMENT = "recipe.yaml", "environment.json"
GIT_S = 10.0  # seconds; a repository on a sleeping disk must not hold up a training
UNTOLD = ("torch", "numpy")  # packages that are named where the program was not installed as a package


def write_run_record(recipe: Recipe, *, processes: int = 1) -> None:
    """Write both files into the run's folder; environment.json gets one more session each time.

    Args:
        recipe: with everything resolved.
        processes: that train it together.

    Raises:
        UsageError: when a base is not there.
    """
    import yaml

    about = f"# The recipe as resolved by save-avs {save_avs.__version__}: `save-avs train` takes it.\n"
    text = yaml.safe_dump(recipe.model_dump(mode="json"), sort_keys=False, allow_unicode=True, width=110)
    entry = session(recipe, processes=processes)
    atomic_write(recipe.out / RECIPE, about + text)
    document = {"version": 1, "sessions": [*read_sessions(recipe.out), entry]}
    atomic_write(recipe.out / ENVIRONMENT, json.dumps(document, indent=2, ensure_ascii=False) + "\n")


def read_sessions(out: Path) -> list[dict[str, Any]]:
    """The sessions of a run so far; none where nothing, or nothing legible, was written down."""
    try:
        return list(json.loads((out / ENVIRONMENT).read_text())["sessions"])
    except (OSError, ValueError, KeyError, TypeError):
        return []


def session(recipe: Recipe, *, processes: int) -> dict[str, Any]:
    """The surroundings in which a recipe is trained now, as plain values.

    Raises:
        UsageError: when a base is not there.
    """
    import torch

    return {
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": shlex.join(sys.argv),
        "processes": processes,
        "seeds": {stage.name: stage.seed for stage in recipe.stages},
        "pretrained": {kind: identity_of(base) for kind, base in recipe.pretrained if base is not None},
        "git": git_state(Path.cwd()),
        "save-avs": save_avs.__version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpu": {"name": cpu_name(), "cores": os.cpu_count(), "threads": torch.get_num_threads()},
        "gpus": [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())],
        "cuda": torch.version.cuda,
        "packages": package_versions(),
    }


def identity_of(base: str) -> dict[str, Any]:
    """Name, size in bytes and sha256 of a base: a path, or a name that ``save-avs weights`` knows.

    Raises:
        UsageError: when it is not there.
    """
    return identify_published(resolve_weights(base)).model_dump()


def git_state(folder: Path) -> dict[str, Any] | None:
    """Commit of the repository that holds a folder, and whether files differ from it; None without one."""
    commit, changes = (
        _git(folder, *words) for words in (("rev-parse", "HEAD"), ("status", "--porcelain", "-uno"))
    )
    return None if commit is None else {"commit": commit, "dirty": bool(changes)}


def _git(folder: Path, *words: str) -> str | None:
    """What git says; None where it fails or is not installed."""
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *words], capture_output=True, text=True, timeout=GIT_S, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def cpu_name() -> str:
    """The processor's name where the system tells, else its kind."""
    try:
        found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    except OSError:
        found = None
    return found.group(1) if found else platform.processor() or platform.machine()


def package_versions() -> dict[str, str]:
    """The installed version of everything the package asks for, extras as far as they are there."""
    try:
        asked = metadata.requires("save-avs") or []
    except metadata.PackageNotFoundError:
        asked = list(UNTOLD)
    names = {re.split(r"[^\w.-]", requirement, maxsplit=1)[0] for requirement in asked}
    versions = {}
    for name in sorted(names):
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return versions
