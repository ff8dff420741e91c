"""The runtimes by name, opening a model folder with one; exported graphs and timings in the cache."""

import hashlib
import platform
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError
from torch import Tensor

from save_avs._extras import require
from save_avs._files import atomic_write
from save_avs.audio import Frontend
from save_avs.errors import UsageError
from save_avs.models.config import SaveConfig
from save_avs.models.pretrained import PretrainedPaths
from save_avs.models.save import Precision, Resize
from save_avs.models.serialization import CONFIG, WEIGHTS, load_folder, read_config
from save_avs.runtimes.interface import InferenceSession, Runtime, is_installed
from save_avs.runtimes.onnx_runtime import Onnx
from save_avs.runtimes.openvino_runtime import OpenVino, OpenVinoInt8
from save_avs.weights.cache import cache_dir
from save_avs.weights.identity import sha256_of

RUNTIMES: dict[str, Runtime] = {runtime.name: runtime for runtime in (OpenVino(), OpenVinoInt8(), Onnx())}
TORCH, AUTO = "torch", "auto"
RUNTIME_NAMES = (AUTO, TORCH, *RUNTIMES)


class RuntimeModel:
    """Frames and sound to mask logits through a runtime, with the attributes of a SAVE that `Predictor` uses.

    It runs on the CPU, and can be neither trained nor asked for the sounds' classes.
    """

    def __init__(
        self, config: SaveConfig, session: InferenceSession, *, precision: Precision, runtime: str
    ) -> None:
        self.name: str = config.name
        self.image_size: int = config.image_size
        self.resize: Resize = config.resize
        self.frontend: Frontend = config.frontend
        self.device: torch.device = torch.device("cpu")
        self.precision: Precision = precision
        self.runtime: str = runtime
        self.checksum: str = ""
        self._session = session

    def __call__(self, images: Tensor, log_mel: Tensor) -> Tensor:
        """Images 0..255 [B,3,S,S] and patches f32 [B,1,frames,bands] to logits f32 [B,1,S/4,S/4]."""
        return self._session(images.to(torch.uint8), log_mel)


def get_runtime(name: str) -> Runtime:
    """The runtime of that name, not torch, its packages checked; a UsageError without one."""
    if name not in RUNTIMES:
        raise UsageError(f"unknown runtime '{name}': choose one of {', '.join(RUNTIME_NAMES)}")
    require(name, *RUNTIMES[name].packages)
    return RUNTIMES[name]


def open_runtime(
    name: str, folder: Path, precision: Precision, pretrained: PretrainedPaths = None
) -> RuntimeModel:
    """Open a model folder with a runtime; an earlier export of the same model is reused.

    Raises:
        UsageError: on an unknown runtime, missing packages, or a precision it does not support.
    """
    runtime = get_runtime(name)
    if precision not in runtime.precisions:
        supported = ", ".join(runtime.precisions)
        raise UsageError(f"runtime '{name}' supports {supported}, not {precision}")
    exported = cached_export(
        model_key(folder),
        name,
        runtime.packages,
        lambda part: runtime.export(load_folder(folder, pretrained=pretrained), part),
    )
    session = runtime.open(exported, precision)
    return RuntimeModel(read_config(folder), session, precision=precision, runtime=name)


def runtime_dir() -> Path:
    """The folder of all exported graphs and timings."""
    return cache_dir() / "runtimes"


def model_key(folder: Path) -> str:
    """A key of a model folder's contents; its config names pretrained checkpoints by their sha256."""
    return _short_hash("".join(sha256_of(folder / name) for name in (CONFIG, WEIGHTS)))


def cached_export(key: str, name: str, packages: tuple[str, ...], write: Callable[[Path], None]) -> Path:
    """The folder of a model's export; where there is none yet, ``write`` fills an empty one."""
    versions = " ".join(version(package) for package in ("save-avs", "torch", *packages))
    folder = runtime_dir() / key / f"{name}-{_short_hash(versions)}"
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=folder.parent, prefix=".part-", ignore_cleanup_errors=True) as part:
            write(Path(part))
            Path(part).rename(folder)
    return folder


def _short_hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


class RuntimeTiming(BaseModel):
    """Milliseconds per frame of one runtime for a model in one precision."""

    model_config = ConfigDict(frozen=True)

    runtime: str
    precision: Precision
    ms: float


_TIMINGS = TypeAdapter(list[RuntimeTiming])


def save_timings(folder: Path, timings: Sequence[RuntimeTiming]) -> Path:
    """Write the timings of a model folder on this machine, and return the file."""
    file = _timings_file(folder)
    atomic_write(file, _TIMINGS.dump_json(list(timings), indent=2) + b"\n")
    return file


def fastest_runtime(folder: Path, precision: Precision) -> str | None:
    """The fastest runtime for a model in a precision, of those installed; None if it was not measured."""
    try:
        timings = _TIMINGS.validate_json(_timings_file(folder).read_bytes())
    except (OSError, ValidationError):
        return None
    missing = [name for name, runtime in RUNTIMES.items() if not is_installed(runtime)]
    rows = [row for row in timings if row.precision == precision and row.runtime not in missing]
    return min(rows, key=lambda row: row.ms).runtime if rows else None


def _timings_file(folder: Path) -> Path:
    """One file per model and machine: a home folder may be shared by several machines."""
    return runtime_dir() / model_key(folder) / f"timings-{platform.node() or 'here'}.json"
