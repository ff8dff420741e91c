"""What a model can be exported to: how its graph is written, and how a runner opens it."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch.export import ExportedProgram

from save_avs._extras import require
from save_avs.errors import UsageError
from save_avs.models.save import Precision
from save_avs.runtimes import onnx_engine, openvino_engine
from save_avs.runtimes.base import Runtime
from save_avs.runtimes.export_graph import OUTPUT
from save_avs.runtimes.tracing import without_remarks

PT2 = "model.pt2"

# What opens a graph for batches of one shape (B,H,W,3): a function of a pair, frames and sounds.
_ONNX = """
def load(*shape):
    session = onnxruntime.InferenceSession(HERE / ABOUT["file"], providers=["CPUExecutionProvider"])
    return lambda pair: session.run(None, dict(zip(ABOUT["inputs"], pair)))
"""
_OPENVINO = """
def load(*shape):
    graph = openvino.Core().read_model(HERE / ABOUT["file"])
    graph.reshape({0: shape, 1: (shape[0], SAMPLES)})  # with open shapes its attention goes wrong
    return openvino.compile_model(graph, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
"""
_TORCH = """
def load(*shape):
    program = torch.export.load(HERE / ABOUT["file"]).module()
    return lambda pair: [program(*map(torch.from_numpy, pair)).detach().numpy()]
"""


@dataclass(frozen=True, kw_only=True)
class ExportTarget:
    """A form that a model can leave in.

    Attributes:
        name: how it is chosen.
        runtime: what computes it elsewhere; None for torch, which is always there.
        write: writes a graph into a folder.
        file: the graph's.
        package: what the runner imports beside numpy.
        load: the runner's function that opens the graph.
        precisions: what it can compute in.
    """

    name: str
    runtime: Runtime | None
    write: Callable[[ExportedProgram, Path], None]
    file: str
    package: str
    load: str
    precisions: tuple[Precision, ...] = (
        "fp32",
    )  # OpenVINO in bf16: masks differ too much (docs/guides/export.md)


def _write_onnx(program: ExportedProgram, folder: Path) -> None:
    onnx_engine.write_onnx(program, folder, result=OUTPUT)


def _write_openvino(program: ExportedProgram, folder: Path) -> None:
    openvino_engine.save_graph(openvino_engine.convert(program), folder, result=OUTPUT)


def _write_torch(program: ExportedProgram, folder: Path) -> None:
    whole = io.BytesIO()  # given a file, torch's writer ends the process when the disk is full
    with without_remarks():
        torch.export.save(program, whole)
    (folder / PT2).write_bytes(whole.getbuffer())


TARGETS: dict[str, ExportTarget] = {
    target.name: target
    for target in (
        ExportTarget(
            name="onnx",
            runtime=onnx_engine.Onnx(),
            write=_write_onnx,
            file=onnx_engine.FILE,
            package="onnxruntime",
            load=_ONNX,
        ),
        ExportTarget(
            name="openvino",
            runtime=openvino_engine.OpenVino(),
            write=_write_openvino,
            file=openvino_engine.FILE,
            package="openvino",
            load=_OPENVINO,
        ),
        ExportTarget(
            name="torch",
            runtime=None,
            write=_write_torch,
            file=PT2,
            package="torch",
            load=_TORCH,
            precisions=("fp32", "bf16"),
        ),
    )
}


def find_target(name: str, precision: str) -> tuple[ExportTarget, Precision]:
    """A target by name, its packages and the precision checked.

    Raises:
        UsageError: when there is none of that name, its packages are missing, or it lacks the precision.
    """
    if name not in TARGETS:
        raise UsageError(f"cannot export to '{name}': choose one of {', '.join(TARGETS)}")
    target = TARGETS[name]
    if target.runtime is not None:
        require(name, *target.runtime.packages)
    for known in target.precisions:
        if known == precision:
            return target, known
    raise UsageError(f"{name} computes in {', '.join(target.precisions)}, not in {precision}")
