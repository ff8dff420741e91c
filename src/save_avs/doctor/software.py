"""Versions of what the package stands on, the extras that are there, and whether the model runs."""

from __future__ import annotations

import platform
import re
import time
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires, version

import numpy as np

import save_avs
from save_avs.doctor.finding import Finding
from save_avs.errors import SaveAvsError

SECTION = "software"
_TOLD = ("torch", "av", "numpy", "accelerate", "safetensors")
_REQUIREMENT = re.compile(r"^([\w.-]+).*?;.*\bextra\s*==\s*['\"]([\w-]+)['\"]")


def packages() -> Iterator[Finding]:
    """Versions of this package, Python, what weighs most under it, and FFmpeg."""
    import av

    yield Finding(SECTION, "save-avs", save_avs.__version__)
    yield Finding(SECTION, "python", f"{platform.python_version()} on {platform.platform()}")
    for name in _TOLD:
        yield Finding(SECTION, name, version(name))
    yield Finding(SECTION, "ffmpeg", av.ffmpeg_version_info)


def extras() -> Iterator[Finding]:
    """Each optional part of the package: what is missing of it, and the line that brings it."""
    for extra, names in sorted(_extras().items()):
        missing = [name for name in names if not _version(name)]
        hint = f"pip install 'save-avs[{extra}]'" if missing else ""
        told = ", ".join(f"{name} {_version(name)}" for name in names if name not in missing)
        yield Finding("extras", extra, told or None, hint=hint)


def _extras() -> dict[str, list[str]]:
    """Packages of each extra, as this package's own metadata name them."""
    found: dict[str, list[str]] = {}
    for line in _requirements():
        if match := _REQUIREMENT.match(line):
            found.setdefault(match[2], []).append(match[1])
    return found


def _requirements() -> list[str]:
    try:
        return requires("save-avs") or []
    except PackageNotFoundError:  # run from a source folder that was not installed
        return []


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def model() -> Finding:
    """Whether the bundled model marks a frame, and how long that takes."""
    from save_avs.inference import Predictor
    from save_avs.models import load_model
    from save_avs.types import VideoChunk

    noise = np.random.default_rng(0)
    clip = VideoChunk(
        frames=noise.integers(0, 256, (1, 90, 160, 3), dtype=np.uint8),
        times=np.array([0.5]),
        waveform=noise.uniform(-0.5, 0.5, 16000).astype(np.float32),
        waveform_start=0.0,
        sample_rate=16000,
    )
    try:
        predictor = Predictor(load_model("save-tiny"))
        predictor.predict(clip)
        started = time.perf_counter()
        predictor.predict(clip)
    except (SaveAvsError, RuntimeError, OSError) as error:
        return Finding("model", "save-tiny", False, problem=f"save-tiny does not run: {error}")
    return Finding("model", "save-tiny", f"runs, {1000 * (time.perf_counter() - started):.0f} ms a frame")
