"""Export targets: how each writes a graph, and what its runner needs."""

import io
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torch.export import ExportedProgram

from save_avs._extras import require
from save_avs.errors import UsageError
from save_avs.models.save import Precision
from save_avs.runtimes import onnx_runtime, openvino_runtime
from save_avs.runtimes.end_to_end_graph import OUTPUT
from save_avs.runtimes.interface import Runtime, quiet_exporters

PT2 = "model.pt2"


@dataclass(frozen=True, kw_only=True)
class ExportTarget:
    """A format that a model can be exported to."""

    name: str
    runtime: Runtime | None  # what runs it elsewhere; None for torch, which is always installed
    write: Callable[[ExportedProgram, Path], None]  # writes a graph into a folder
    file: str  # the graph's file
    package: str  # what the runner imports besides numpy
    precisions: tuple[Precision, ...] = ("fp32",)  # OpenVINO in bf16: masks differ too much (docs/guides)


def _write_openvino(program: ExportedProgram, folder: Path) -> None:
    openvino_runtime.save_graph(openvino_runtime.to_openvino(program), folder, result=OUTPUT)


def _write_torch(program: ExportedProgram, folder: Path) -> None:
    data = io.BytesIO()  # writing to a file, torch ends the process when the disk is full
    with quiet_exporters():
        torch.export.save(program, data)
    (folder / PT2).write_bytes(data.getbuffer())


TARGETS: dict[str, ExportTarget] = {
    target.name: target
    for target in (
        ExportTarget(
            name="onnx",
            runtime=onnx_runtime.Onnx(),
            write=partial(onnx_runtime.write_onnx, result=OUTPUT),
            file=onnx_runtime.FILE,
            package="onnxruntime",
        ),
        ExportTarget(
            name="openvino",
            runtime=openvino_runtime.OpenVino(),
            write=_write_openvino,
            file=openvino_runtime.FILE,
            package="openvino",
        ),
        ExportTarget(
            name="torch",
            runtime=None,
            write=_write_torch,
            file=PT2,
            package="torch",
            precisions=("fp32", "bf16"),
        ),
    )
}


def get_target(name: str, precision: str) -> tuple[ExportTarget, Precision]:
    """The target of that name and the precision, with its packages checked.

    Raises:
        UsageError: when no target has that name, its packages are missing, or it lacks the precision.
    """
    if name not in TARGETS:
        raise UsageError(f"cannot export to '{name}': choose one of {', '.join(TARGETS)}")
    target = TARGETS[name]
    if target.runtime is not None:
        require(target.runtime.name, *target.runtime.packages)
    for supported in target.precisions:
        if supported == precision:
            return target, supported
    raise UsageError(f"exports to {name} support {', '.join(target.precisions)}, not {precision}")
