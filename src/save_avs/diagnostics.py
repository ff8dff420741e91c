"""Diagnostics of an installation: versions, codecs, devices, weights cache, extras, the bundled model."""

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

import numpy as np
import psutil
import torch

import save_avs
from save_avs._extras import extras, install_line
from save_avs.errors import SaveAvsError
from save_avs.models.precision import has_native_bf16
from save_avs.video.codecs import check_codecs
from save_avs.weights.cache import CACHE_VARIABLE, cache_dir, cached_path
from save_avs.weights.registry import PRETRAINED_WEIGHTS

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

    yield Diagnostic("software", "save-avs", save_avs.__version__)
    yield Diagnostic("software", "python", f"{platform.python_version()} on {platform.platform()}")
    for name in _PACKAGES:
        yield Diagnostic("software", name, version(name))
    yield Diagnostic("software", "ffmpeg", av.ffmpeg_version_info)


def _codecs() -> Iterator[Diagnostic]:
    for name, failure in check_codecs().items():
        problem = f"{name} cannot be written ({failure}): reinstall av" if failure else ""
        yield Diagnostic("codecs", name, not failure, problem=problem if name in ESSENTIAL_CODECS else "")


def _machine() -> Iterator[Diagnostic]:
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
    for weights in PRETRAINED_WEIGHTS.values():
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
