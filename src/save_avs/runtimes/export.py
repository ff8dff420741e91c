"""Export of a model to a self-contained folder: graph, facts, runner, example; checked before it appears."""

import copy
import io
import platform
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.export import ExportedProgram

from save_avs._extras import models_folder, require
from save_avs._files import atomic_folder, atomic_write
from save_avs._text import json_document
from save_avs.errors import UsageError
from save_avs.models.config import SaveConfig
from save_avs.models.precision import set_precision
from save_avs.models.preprocess import MASK_THRESHOLD
from save_avs.models.sam.sam import PIXEL_MEAN, PIXEL_STD
from save_avs.models.save import Precision
from save_avs.models.serialization import CARD as SOURCE_CARD
from save_avs.models.serialization import load_folder, read_license
from save_avs.runtimes import onnx_runtime, openvino_runtime
from save_avs.runtimes.end_to_end_graph import INPUTS, LARGEST, OUTPUT, SMALLEST, trace_end_to_end
from save_avs.runtimes.export_check import (
    ExportCheck,
    read_check_chunk,
    reference_probabilities,
    run_check,
)
from save_avs.runtimes.interface import quiet_exporters
from save_avs.runtimes.loading import find_model_folder

ABOUT, RUNNER, CARD, EXAMPLE = "model.json", "run.py", "README.md", "example.npz"
MODEL_CARD = "MODEL_CARD.md"  # the exported model's own, which says what it was trained on and its license
PT2 = "model.pt2"


@dataclass(frozen=True, kw_only=True)
class ExportTarget:
    """A format that a model can be exported to."""

    name: str
    write: Callable[[ExportedProgram, Path], None]  # writes a graph into a folder
    file: str  # the graph's file
    package: str  # what the runner imports besides numpy
    packages: tuple[str, ...] = ()  # of the extra of its name, which write it
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
            write=partial(onnx_runtime.write_onnx, result=OUTPUT),
            file=onnx_runtime.FILE,
            package="onnxruntime",
            packages=onnx_runtime.Onnx.packages,
        ),
        ExportTarget(
            name="openvino",
            write=_write_openvino,
            file=openvino_runtime.FILE,
            package="openvino",
            packages=openvino_runtime.OpenVino.packages,
        ),
        ExportTarget(
            name="torch", write=_write_torch, file=PT2, package="torch", precisions=("fp32", "bf16")
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
    require(name, *target.packages)
    for supported in target.precisions:
        if supported == precision:
            return target, supported
    raise UsageError(f"exports to {name} support {', '.join(target.precisions)}, not {precision}")


def export_model(
    name_or_path: str | Path,
    folder: str | Path,
    *,
    to: str,
    precision: str = "fp32",
    check: str | Path | None = None,
    overwrite: bool = False,
) -> ExportCheck:
    """Export a model to a new folder that runs without this program.

    Args:
        name_or_path: as for ``load_model``.
        folder: to write; it appears when the check has passed.
        to: onnx, openvino or torch.
        precision: fp32, or bf16 where the target supports it.
        check: a video with sound on which to compare with PyTorch; None takes the bundled sample.
        overwrite: replace ``folder`` when it exists.

    Raises:
        UsageError: on an unknown model or target, missing packages, an existing folder, a silent video.
        SaveAvsError: when the export disagrees with PyTorch.
    """
    target, target_precision = get_target(to, precision)
    source = find_model_folder(name_or_path)
    video = Path(check) if check else models_folder() / "sample.mp4"
    with atomic_folder(Path(folder), overwrite=overwrite) as part:
        model = load_folder(source)
        assert model.config is not None  # it was loaded
        chunk = read_check_chunk(video, model.frontend.sample_rate)
        reference = reference_probabilities(model, chunk)
        converted = set_precision(copy.deepcopy(model), target_precision, pack=False)
        target.write(trace_end_to_end(converted), part)
        graph_files = sorted(path.name for path in part.iterdir())
        about = _describe(model.config, target, target_precision) | {"license": read_license(source)}
        if has_card := (source / SOURCE_CARD).is_file():
            atomic_write(part / MODEL_CARD, (source / SOURCE_CARD).read_bytes())
        atomic_write(part / ABOUT, json_document(about))
        atomic_write(part / RUNNER, _render("run.py.jinja", target, about))
        found = run_check(part, chunk, reference, name=video.name)
        np.savez_compressed(
            part / EXAMPLE,
            frames=chunk.frames,
            times=chunk.times - chunk.waveform_start,
            waveform=chunk.waveform,
            masks=reference > MASK_THRESHOLD,
        )
        about["check"] = asdict(found)
        atomic_write(part / ABOUT, json_document(about))
        atomic_write(
            part / CARD, _render("README.md.jinja", target, about, files=graph_files, has_card=has_card)
        )
    return found


def _describe(config: SaveConfig, target: ExportTarget, precision: Precision) -> dict[str, Any]:
    """The contents of model.json, without the check."""
    frames, waveforms = INPUTS
    frontend = config.frontend
    return {
        "version": 1,
        "model": config.name,
        "target": target.name,
        "precision": precision,
        "file": target.file,
        "inputs": {
            frames: {"type": "uint8", "shape": ["B", "H", "W", 3], "holds": "RGB"},
            waveforms: {"type": "float32", "shape": ["B", frontend.num_samples], "holds": "-1..1, mono"},
        },
        "outputs": {OUTPUT: {"type": "float32", "shape": ["B", "H", "W"], "holds": "0..1"}},
        "threshold": MASK_THRESHOLD,
        "audio": {"backbone": config.audio, **asdict(frontend)},
        "image": {
            "size": config.image_size,
            "resize": config.resize,
            "mean": PIXEL_MEAN,
            "std": PIXEL_STD,
        },
        "classes": config.classes,
        "made_by": {
            **{package: version(package) for package in ("save-avs", "torch", *target.packages)},
            "python": platform.python_version(),
        },
    }


def _render(template: str, target: ExportTarget, about: dict[str, Any], **more: Any) -> str:
    from jinja2 import Environment, StrictUndefined

    source = files("save_avs.runtimes").joinpath(template).read_text("utf-8")
    environment = Environment(undefined=StrictUndefined, trim_blocks=True, keep_trailing_newline=True)
    return environment.from_string(source).render(
        about=about,
        package=target.package,
        requirements=("numpy", target.package),
        smallest=SMALLEST,
        largest=LARGEST,
        **more,
    )
