"""OpenVINO with the encoder's linear layers in int8, calibrated on composed scenes."""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from save_avs.models.precision import resolve_precision
from save_avs.models.save import SAVE, Precision
from save_avs.runtimes.interface import InferenceSession, quiet_exporters, trace_model
from save_avs.runtimes.openvino_runtime import FILE, OpenVinoSession, save_graph, to_openvino

if TYPE_CHECKING:
    from openvino import Model, Node

SCENES = 32
SEED = 1  # other scenes than those on which runtimes are compared


class OpenVinoInt8:
    """OpenVINO's CPU plugin; what is not int8 is in the CPU's faster precision."""

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

    def open(self, folder: Path, precision: Precision) -> InferenceSession:
        """Read it; it is compiled at the first batch."""
        return OpenVinoSession(folder / FILE, precision)


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
