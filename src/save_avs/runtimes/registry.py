"""The runtimes by name, and opening a model folder with one."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from save_avs._extras import require
from save_avs.audio import Frontend
from save_avs.errors import UsageError
from save_avs.models.config import SaveConfig
from save_avs.models.pretrained import PretrainedPaths
from save_avs.models.save import Precision, Resize
from save_avs.models.serialization import load_folder, read_config
from save_avs.runtimes.base import InferenceSession, Runtime
from save_avs.runtimes.cache import cached_export, model_key
from save_avs.runtimes.onnx_runtime import Onnx
from save_avs.runtimes.openvino_int8 import OpenVinoInt8
from save_avs.runtimes.openvino_runtime import OpenVino

RUNTIMES: dict[str, Runtime] = {runtime.name: runtime for runtime in (OpenVino(), OpenVinoInt8(), Onnx())}
TORCH, AUTO = "torch", "auto"
RUNTIME_NAMES = (AUTO, TORCH, *RUNTIMES)


class RuntimeModel:
    """Frames and sound to mask logits through a runtime, with the attributes of a SAVE that `Predictor` uses.

    It can be neither trained nor asked for the sounds' classes.

    Attributes:
        name, image_size, resize, frontend: the model's.
        device: always the CPU.
        precision: what the session computes in.
        runtime: the runtime's name.
        checksum: of the model's files; empty until ``load_model`` sets it.
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
    """The runtime of that name, not torch, its packages checked.

    Raises:
        UsageError: when no runtime has that name, or its packages are missing.
    """
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
