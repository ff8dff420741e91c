"""OpenVINO with the encoder's linear layers in int8, their ranges seen on composed scenes."""

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
from save_avs.runtimes.base import InferenceSession
from save_avs.runtimes.openvino_engine import FILE, OpenVinoSession, convert, save_graph
from save_avs.runtimes.tracing import trace, without_remarks
from save_avs.synthesis.streams import calibration_frames

if TYPE_CHECKING:
    from openvino import Model, Node

SCENES = 32
SEED = 1  # other scenes than those on which ways are compared


class OpenVinoInt8:
    """Runs through OpenVINO's CPU plugin; what is not int8 is in what the processor is fast in."""

    name = "openvino-int8"
    packages: tuple[str, ...] = ("openvino", "nncf")

    @property
    def precisions(self) -> tuple[Precision, ...]:
        """What is not int8."""
        return (resolve_precision("auto", torch.device("cpu")),)

    def export(self, model: SAVE, folder: Path) -> None:
        """Write OpenVINO's representation with quantized weights and the ranges of what meets them."""
        images, log_mel = calibration_frames(SCENES, model.image_size, model.frontend, seed=SEED)
        ones = zip(images[:, None].numpy(), log_mel[:, None].numpy(), strict=True)  # [1,3,S,S], [1,1,T,F]
        save_graph(quantize_encoder(convert(trace(model)), list(ones)), folder)

    def open(self, folder: Path, precision: Precision) -> InferenceSession:
        """Read it; compiling waits for the first batch."""
        return OpenVinoSession(folder / FILE, precision)


def quantize_encoder(graph: Model, batches: Sequence[tuple[np.ndarray, ...]]) -> Model:
    """A graph with the linear layers on the encoder's tokens in int8, one scale an output channel.

    Args:
        graph: takes the form of the batches: with an open one OpenVINO's float32 attention is wrong.
        batches: inputs that show which values occur, all of one shape.
    """
    # by the environment alone it can be told, before it is imported, not to report its use to its makers
    os.environ.setdefault("NNCF_CI", "1")
    import nncf

    graph.reshape({i: list(array.shape) for i, array in enumerate(batches[0])})
    others = [node.get_friendly_name() for node in graph.get_ordered_ops() if not _meets_tokens(node)]
    with without_remarks(), redirect_stdout(io.StringIO()):  # its progress bars
        return nncf.quantize(
            graph,
            nncf.Dataset(batches),
            preset=nncf.QuantizationPreset.MIXED,
            subset_size=len(batches),
            ignored_scope=nncf.IgnoredScope(names=others),
        )


def _meets_tokens(node: Node) -> bool:
    """Whether a node multiplies a grid of tokens [B,H,W,C] by a weight; a grid of one is the sound's."""
    if node.get_type_name() != "MatMul" or node.input_value(1).get_node().get_type_name() != "Constant":
        return False
    shape = node.get_input_shape(0)
    return len(shape) == 4 and shape[1] > 1
