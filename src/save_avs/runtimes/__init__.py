"""Loading a model, and computing it through torch, ONNX Runtime or OpenVINO; exports to other programs."""

from save_avs.runtimes.loading import load_model
from save_avs.runtimes.registry import RUNTIME_NAMES, RUNTIMES, RuntimeModel, open_runtime

__all__ = ["RUNTIMES", "RUNTIME_NAMES", "RuntimeModel", "load_model", "open_runtime"]
