"""ONNX Runtime: float32 on any CPU."""

from pathlib import Path

import torch
from torch import Tensor
from torch.export import ExportedProgram

from save_avs.models.save import SAVE, Precision
from save_avs.runtimes.interface import InferenceSession, quiet_exporters, trace_model

FILE = "model.onnx"


def write_onnx(program: ExportedProgram, folder: Path, *, result: str = "logits") -> None:
    """Write a graph with the output ``result``; weights beyond 2 GB go to a second file."""
    with quiet_exporters():
        converted = torch.onnx.export(program, output_names=[result], dynamo=True, verbose=False)
    assert converted is not None  # it is with dynamo=True
    converted.save(folder / FILE)


class Onnx:
    """Runs through ONNX Runtime; its CPU kernels have no bfloat16 products."""

    name = "onnx"
    packages: tuple[str, ...] = ("onnx", "onnxscript", "onnxruntime")
    precisions: tuple[Precision, ...] = ("fp32",)

    def export(self, model: SAVE, folder: Path) -> None:
        """Write an ONNX file."""
        write_onnx(trace_model(model), folder)

    def open(self, folder: Path, precision: Precision) -> InferenceSession:
        """Load it into a session on the CPU."""
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        # waiting threads sleep: decoding and encoding need the cores too
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        session = onnxruntime.InferenceSession(folder / FILE, options, providers=["CPUExecutionProvider"])
        names = [field.name for field in session.get_inputs()]

        def run(images: Tensor, log_mel: Tensor) -> Tensor:
            inputs = dict(zip(names, (images.numpy(), log_mel.numpy()), strict=True))
            return torch.from_numpy(session.run(None, inputs)[0])

        return run
