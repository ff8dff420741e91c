"""OpenVINO on the CPU: fuses what torch computes step by step; also with the encoder in int8."""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from torch.export import ExportedProgram
from torch.nn import functional as F

from save_avs.models.precision import resolve_precision
from save_avs.models.save import SAVE, Precision
from save_avs.runtimes.interface import InferenceSession, quiet_exporters, trace_model

if TYPE_CHECKING:
    from openvino import Model, Node

FILE = "model.xml"
HINTS: dict[Precision, str] = {"fp32": "f32", "bf16": "bf16"}
SCENES = 32  # whose activations give the ranges of int8
SEED = 1  # other scenes than those on which runtimes are compared


def to_openvino(program: ExportedProgram) -> Model:
    """Convert a torch graph to OpenVINO's.

    By the frontend itself: ``openvino.convert_model`` sends telemetry.
    """
    from openvino.frontend import FrontEndManager
    from openvino.frontend.pytorch.fx_decoder import TorchFXPythonDecoder

    with quiet_exporters():
        decoder = TorchFXPythonDecoder.from_exported_program(program)
        frontend = FrontEndManager().load_by_framework("pytorch")
        return frontend.convert(frontend.load(decoder))


def save_graph(graph: Model, folder: Path, *, result: str = "logits") -> None:
    """Write a graph with the output ``result``."""
    import openvino

    graph.output(0).tensor.set_names({result})
    openvino.save_model(graph, folder / FILE, compress_to_fp16=False)


def compile_config(precision: Precision) -> dict[str, Any]:
    """Options to compile a graph for the CPU: torch's number of threads, one batch at a time."""
    return {
        "INFERENCE_PRECISION_HINT": HINTS[precision],
        "INFERENCE_NUM_THREADS": torch.get_num_threads(),
        "PERFORMANCE_HINT": "LATENCY",
    }


class OpenVino:
    """Runs through OpenVINO's CPU plugin."""

    name = "openvino"
    packages: tuple[str, ...] = ("openvino",)

    @property
    def precisions(self) -> tuple[Precision, ...]:
        """All."""
        return tuple(HINTS)

    def export(self, model: SAVE, folder: Path) -> None:
        """Write OpenVINO's representation."""
        save_graph(to_openvino(trace_model(model)), folder)

    def open(self, folder: Path, precision: Precision) -> InferenceSession:
        """Read it; it is compiled at the first batch."""
        return OpenVinoSession(folder / FILE, precision)


class OpenVinoInt8(OpenVino):
    """Runs the encoder's linear layers in int8, calibrated on scenes; all else in the faster precision."""

    name = "openvino-int8"
    packages: tuple[str, ...] = ("openvino", "nncf")

    @property
    def precisions(self) -> tuple[Precision, ...]:
        """Of what is not int8."""
        return (resolve_precision("auto", torch.device("cpu")),)

    def export(self, model: SAVE, folder: Path) -> None:
        """Write OpenVINO's representation with quantized weights and the ranges of what meets them."""
        from save_avs.synthesis.sample_streams import calibration_frames  # slow to import, and for this alone

        images, log_mel = calibration_frames(SCENES, model.image_size, model.frontend, seed=SEED)
        ones = zip(images[:, None].numpy(), log_mel[:, None].numpy(), strict=True)  # [1,3,S,S], [1,1,T,F]
        save_graph(quantize_encoder(to_openvino(trace_model(model)), list(ones)), folder)


def quantize_encoder(graph: Model, batches: Sequence[tuple[np.ndarray, ...]]) -> Model:
    """Quantize the linear layers on the encoder's tokens to int8, one scale per output channel.

    The graph is reshaped to the batches, representative inputs of one shape: with dynamic shapes OpenVINO's
    float32 attention is wrong.
    """
    # this environment variable, set before the import, is the only way to disable its telemetry
    os.environ.setdefault("NNCF_CI", "1")
    import nncf

    graph.reshape({i: list(array.shape) for i, array in enumerate(batches[0])})
    others = [node.get_friendly_name() for node in graph.get_ordered_ops() if not _is_token_matmul(node)]
    with quiet_exporters(), redirect_stdout(io.StringIO()):  # its progress bars
        return nncf.quantize(
            graph,
            nncf.Dataset(batches),
            preset=nncf.QuantizationPreset.MIXED,
            subset_size=len(batches),
            ignored_scope=nncf.IgnoredScope(names=others),
        )


def _is_token_matmul(node: Node) -> bool:
    """Whether a node multiplies a grid of tokens [B,H,W,C] by a weight; a 1 x 1 grid is the audio's."""
    if node.get_type_name() != "MatMul" or node.input_value(1).get_node().get_type_name() != "Constant":
        return False
    shape = node.get_input_shape(0)
    return len(shape) == 4 and shape[1] > 1


class OpenVinoSession:
    """A session compiled for the largest batch so far; smaller ones are padded.

    A fixed batch size is faster, and with a dynamic one the plugin's float32 attention is wrong
    (OpenVINO 2026.4: keys and values of different width).
    """

    def __init__(self, file: Path, precision: Precision) -> None:
        import openvino

        self._core = openvino.Core()
        self._graph = self._core.read_model(file)
        self._config = compile_config(precision)
        self._request: Any = None
        self._batch = 0

    def __call__(self, images: Tensor, log_mel: Tensor) -> Tensor:
        """Images u8 [B,3,S,S], log-mel f32 [B,1,T,F] -> logits f32 [B,1,M,M]."""
        frames = len(images)
        if frames > self._batch:
            self._compile(images, log_mel)
        missing = self._batch - frames
        padded = [F.pad(t, (0, 0) * (t.ndim - 1) + (0, missing)).numpy() for t in (images, log_mel)]
        logits = self._request.infer(padded)[0]
        return torch.from_numpy(logits[:frames].copy())

    def _compile(self, images: Tensor, log_mel: Tensor) -> None:
        self._graph.reshape({0: list(images.shape), 1: list(log_mel.shape)})
        self._request = self._core.compile_model(self._graph, "CPU", self._config).create_infer_request()
        self._batch = len(images)
