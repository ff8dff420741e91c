"""`save-avs doctor`: versions, codecs, devices, cache, weights, extras, the bundled model."""

import os
import platform
import re
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from save_avs._extras import extras, install_line, package_version
from save_avs._text import json_document
from save_avs.cli._console import print_block, print_line
from save_avs.cli._exit import FAILED
from save_avs.cli._options import AsJson
from save_avs.errors import SaveAvsError

GB = 1e9
ESSENTIAL_CODECS = ("H.264", "AAC")  # of overlay videos
CPU_FEATURES = ("avx2", "avx512f", "avx512_bf16", "amx_bf16", "bf16", "asimd", "sve")  # that decide the speed
_PACKAGES = ("torch", "av", "numpy", "safetensors", "huggingface_hub")
_NAME = re.compile(r"[^\w.-]")  # what ends the name of a package in a requirement


@dataclass(frozen=True)
class Diagnostic:
    """One fact about this installation."""

    section: str  # its group
    name: str  # what was examined
    value: Any  # the result, as JSON has it
    problem: str = ""  # why videos cannot be segmented; empty where all is well
    hint: str = ""  # what could be installed or fetched, and how; empty where nothing is missing


def doctor(as_json: AsJson = False) -> int:
    """Show versions, working codecs, devices and the cache, and how to get what is missing.

    \b
    Examples:
      save-avs doctor
      save-avs doctor --json > doctor.json

    Exit code 0 when videos can be segmented, 1 when something essential fails.
    """
    results = list(run_diagnostics())
    problems = [result.problem for result in results if result.problem]
    print_block(json_document(_document(results, problems)) if as_json else _page(results, problems))
    for problem in problems:
        print_line(f"save-avs: {problem}", err=True)
    return FAILED if problems else 0


def _document(results: list[Diagnostic], problems: list[str]) -> dict[str, Any]:
    sections: dict[str, dict[str, Any]] = {}
    for result in results:
        sections.setdefault(result.section, {})[result.name] = result.value
    hints = [result.hint for result in results if result.hint]
    return {"version": 1, "ok": not problems, **sections, "problems": problems, "hints": hints}


def _page(results: list[Diagnostic], problems: list[str]) -> str:
    width = max(len(result.name) for result in results) + 2
    lines: list[str] = []
    section = ""
    for result in results:
        if result.section != section:
            section = result.section
            lines += ["", section] if lines else [section]
        hint = f": {result.hint}" if result.hint else ""
        lines.append(f"  {result.name:{width}}{_shown(result)}{hint}")
    missing = f"This installation cannot segment videos: {'; '.join(problems)}."
    return "\n".join([*lines, "", missing if problems else "This installation can segment videos."])


def _shown(result: Diagnostic) -> str:
    match result.value:
        case bool() as fetched if result.section == "weights":
            return "fetched" if fetched else "not fetched"
        case bool() as yes:
            return "yes" if yes else "no"
        case None:
            return "not installed"
        case list() as values:
            return ", ".join(map(str, values)) or "none"
    return str(result.value)


def run_diagnostics() -> Iterator[Diagnostic]:
    """Examine everything, and yield the results one by one."""
    yield from _packages()
    yield from _codecs()
    yield from _machine()
    yield from _cache()
    yield from _weights()
    yield from _extras()
    yield _model()


def _packages() -> Iterator[Diagnostic]:
    import av

    yield Diagnostic("software", "save-avs", package_version())
    yield Diagnostic("software", "python", f"{platform.python_version()} on {platform.platform()}")
    for name in _PACKAGES:
        yield Diagnostic("software", name, version(name))
    yield Diagnostic("software", "ffmpeg", av.ffmpeg_version_info)


def _codecs() -> Iterator[Diagnostic]:
    from save_avs.video.codecs import check_codecs

    for name, failure in check_codecs().items():
        problem = f"{name} cannot be written ({failure}): reinstall av" if failure else ""
        yield Diagnostic("codecs", name, not failure, problem=problem if name in ESSENTIAL_CODECS else "")


def _machine() -> Iterator[Diagnostic]:
    import psutil
    import torch

    from save_avs.models.precision import has_native_bf16

    cpuinfo = Path("/proc/cpuinfo")  # Linux has it
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    fields = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
    flags = (fields.get("flags") or fields.get("Features") or "").split()
    devices = ["cpu"]
    for i in range(torch.cuda.device_count()):
        gpu = torch.cuda.get_device_properties(i)
        devices.append(f"cuda:{i} ({gpu.name}, {gpu.total_memory / GB:.0f} GB)")
    for name, value in {
        "CPU": fields.get("model name") or platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "torch threads": torch.get_num_threads(),
        "features": [feature for feature in CPU_FEATURES if feature in flags],
        "native bfloat16": has_native_bf16(torch.device("cpu")),
        "memory": f"{psutil.virtual_memory().total / GB:.1f} GB",
        "devices": devices,
    }.items():
        yield Diagnostic("machine", name, value)


def _cache() -> Iterator[Diagnostic]:
    from save_avs.weights.cache import CACHE_VARIABLE, cache_dir

    folder = cache_dir()
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    writable = existing.is_dir() and os.access(existing, os.W_OK)
    problem = "" if writable else f"{existing} is not writable: set {CACHE_VARIABLE} to another folder"
    files = (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    size = sum(path.stat().st_size for path in files)
    yield Diagnostic("cache", "folder", str(folder), problem=problem)
    yield Diagnostic("cache", "size", f"{size / GB:.3f} GB")
    yield Diagnostic("cache", "free disk space", f"{shutil.disk_usage(existing).free / GB:.1f} GB")


def _weights() -> Iterator[Diagnostic]:
    from save_avs.weights.cache import cached_path
    from save_avs.weights.registry import pretrained_weights

    for weights in pretrained_weights().values():
        fetched = all(cached_path(file, weights.name).is_file() for file in weights.files)
        hint = "" if fetched else f"save-avs weights fetch {weights.name}"
        yield Diagnostic("weights", weights.name, fetched, hint=hint)


def _extras() -> Iterator[Diagnostic]:
    for extra, lines in sorted(extras().items()):
        names = [_NAME.split(line)[0] for line in lines]
        installed = {name: found for name in names if (found := _version(name))}
        hint = install_line(extra) if len(installed) < len(names) else ""
        listed = ", ".join(f"{name} {found}" for name, found in installed.items())
        yield Diagnostic("extras", extra, listed or None, hint=hint)


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def _model() -> Diagnostic:
    """Segment one frame of noise with the bundled model, and time it."""
    import numpy as np

    from save_avs.inference.predictor import Predictor
    from save_avs.runtimes import load_model
    from save_avs.types import VideoChunk

    noise = np.random.default_rng(0)
    chunk = VideoChunk(
        frames=noise.integers(0, 256, (1, 90, 160, 3), dtype=np.uint8),
        times=np.array([0.5]),
        waveform=noise.uniform(-0.5, 0.5, 16000).astype(np.float32),
        waveform_start=0.0,
        sample_rate=16000,
    )
    try:
        predictor = Predictor(load_model("save-small"))
        predictor.predict(chunk)
        start = time.perf_counter()
        predictor.predict(chunk)
    except (SaveAvsError, RuntimeError, OSError) as error:
        return Diagnostic("model", "save-small", False, problem=f"save-small does not run: {error}")
    return Diagnostic("model", "save-small", f"runs, {1000 * (time.perf_counter() - start):.0f} ms per frame")
