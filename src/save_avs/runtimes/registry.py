"""The runtimes there are, and how a model folder is opened with one."""

from __future__ import annotations

from pathlib import Path

from save_avs._extras import require
from save_avs.errors import UsageError
from save_avs.models.pretrained_delta import BaseWeightPaths
from save_avs.models.save import Precision
from save_avs.models.serialization import load_folder, read_config
from save_avs.runtimes.base import Runtime
from save_avs.runtimes.cache import kept, model_key
from save_avs.runtimes.int8_engine import OpenVinoInt8
from save_avs.runtimes.onnx_engine import Onnx
from save_avs.runtimes.openvino_engine import OpenVino
from save_avs.runtimes.runtime_model import RuntimeModel

RUNTIMES: dict[str, Runtime] = {runtime.name: runtime for runtime in (OpenVino(), OpenVinoInt8(), Onnx())}
TORCH, AUTO = "torch", "auto"
RUNTIME_NAMES = (AUTO, TORCH, *RUNTIMES)


def get_runtime(name: str) -> Runtime:
    """A runtime that is not torch, its packages checked.

    Raises:
        UsageError: when there is none of that name, or its packages are missing.
    """
    if name not in RUNTIMES:
        raise UsageError(f"unknown runtime '{name}': choose one of {', '.join(RUNTIME_NAMES)}")
    require(name, *RUNTIMES[name].packages)
    return RUNTIMES[name]


def open_runtime(name: str, folder: Path, precision: Precision, base: BaseWeightPaths = None) -> RuntimeModel:
    """Open a model folder with a runtime; what it wrote for the model before is used again.

    Raises:
        UsageError: on an unknown runtime, missing packages, or a precision it does not have.
    """
    runtime = get_runtime(name)
    if precision not in runtime.precisions:
        raise UsageError(f"runtime '{name}' computes in {', '.join(runtime.precisions)}, not in {precision}")
    exported = kept(
        model_key(folder),
        name,
        runtime.packages,
        lambda part: runtime.export(load_folder(folder, base=base)[0], part),
    )
    engine = runtime.open(exported, precision)
    return RuntimeModel(read_config(folder), engine, precision=precision, runtime=name)
