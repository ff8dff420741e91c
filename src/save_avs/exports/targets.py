"""What a model can be exported to: how its graph is written, and how a runner opens it."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import torch
from torch.export import ExportedProgram

from save_avs.errors import UsageError
from save_avs.exports.graph import OUTPUT
from save_avs.model.runtimes import onnx_engine, openvino_engine
from save_avs.model.runtimes.engine import Runtime, require
from save_avs.model.runtimes.tracing import without_remarks
from save_avs.model.save import Precision

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
class Target:
    """A form that a model can leave in.

    Attributes:
        name: how it is chosen.
        runtime: what writes it; None for torch, which is always there.
        file: the graph's.
        package: what the runner imports beside numpy.
        load: the runner's function that opens the graph.
        precisions: what it can compute in.
    """

    name: str
    runtime: Runtime | None
    file: str
    package: str
    load: str
    precisions: tuple[Precision, ...] = ("fp32",)  # OpenVINO in bf16: masks differ too much (docs/exports.md)

    def write(self, program: ExportedProgram, folder: Path) -> None:
        """Write a graph into a folder."""
        if self.runtime is None:
            whole = io.BytesIO()  # given a file, torch's writer ends the process when the disk is full
            with without_remarks():
                torch.export.save(program, whole)
            (folder / self.file).write_bytes(whole.getbuffer())
        else:
            self.runtime.export(program, folder, result=OUTPUT)


def _through(runtime: Runtime, file: str, package: str, load: str) -> Target:
    return Target(
        name=runtime.name,
        runtime=runtime,
        file=file,
        package=package,
        load=load,
    )


TARGETS: dict[str, Target] = {
    target.name: target
    for target in (
        _through(onnx_engine.Onnx(), onnx_engine.FILE, "onnxruntime", _ONNX),
        _through(openvino_engine.OpenVino(), openvino_engine.FILE, "openvino", _OPENVINO),
        Target(
            name="torch", runtime=None, file=PT2, package="torch", load=_TORCH, precisions=("fp32", "bf16")
        ),
    )
}


def find_target(name: str, precision: str) -> tuple[Target, Precision]:
    """A target by name, its packages and the precision checked.

    Raises:
        UsageError: when there is none of that name, its packages are missing, or it lacks the precision.
    """
    if name not in TARGETS:
        raise UsageError(f"cannot export to '{name}': choose one of {', '.join(TARGETS)}")
    target = TARGETS[name]
    if target.runtime is not None:
        require(target.runtime)
    for known in target.precisions:
        if known == precision:
            return target, known
    raise UsageError(f"{name} computes in {', '.join(target.precisions)}, not in {precision}")
