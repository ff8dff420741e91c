"""The runtimes there are, and how a model folder is opened with one."""

from __future__ import annotations

from pathlib import Path

from save_avs.errors import UsageError
from save_avs.model.base import BaseFiles
from save_avs.model.files import read_config, read_folder
from save_avs.model.runtimes.engine import Runtime, require
from save_avs.model.runtimes.int8_engine import OpenVinoInt8
from save_avs.model.runtimes.onnx_engine import Onnx
from save_avs.model.runtimes.openvino_engine import OpenVino
from save_avs.model.runtimes.running import RuntimeModel
from save_avs.model.runtimes.store import kept, model_key
from save_avs.model.save import Precision

RUNTIMES: dict[str, Runtime] = {runtime.name: runtime for runtime in (OpenVino(), OpenVinoInt8(), Onnx())}
TORCH, AUTO = "torch", "auto"
NAMES = (AUTO, TORCH, *RUNTIMES)


def find_runtime(name: str) -> Runtime:
    """A runtime that is not torch, its packages checked.

    Raises:
        UsageError: when there is none of that name, or its packages are missing.
    """
    if name not in RUNTIMES:
        raise UsageError(f"unknown runtime '{name}': choose one of {', '.join(NAMES)}")
    require(RUNTIMES[name])
    return RUNTIMES[name]


def open_runtime(name: str, folder: Path, precision: Precision, base: BaseFiles = None) -> RuntimeModel:
    """Open a model folder with a runtime; what it wrote for the model before is used again.

    Raises:
        UsageError: on an unknown runtime, missing packages, or a precision it does not have.
    """
    runtime = find_runtime(name)
    if precision not in runtime.precisions:
        raise UsageError(f"runtime '{name}' computes in {', '.join(runtime.precisions)}, not in {precision}")
    exported = kept(
        model_key(folder),
        name,
        runtime.packages,
        lambda part: runtime.export(read_folder(folder, base=base)[0], part),
    )
    engine = runtime.open(exported, precision)
    return RuntimeModel(read_config(folder), engine, precision=precision, runtime=name)
