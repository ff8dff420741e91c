"""Writing a model's folder for another program: graph, facts, runner, example, checked before it appears."""

from __future__ import annotations

import copy
import json
import platform
from dataclasses import asdict
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from save_avs._files import atomic_folder, atomic_write
from save_avs.inference.settings import SegmentationSettings
from save_avs.models.config import SaveConfig
from save_avs.models.loading import find_model_folder
from save_avs.models.precision import set_precision
from save_avs.models.pretrained_delta import BaseWeightPaths
from save_avs.models.sam.sam import PIXEL_MEAN, PIXEL_STD
from save_avs.models.save import Precision
from save_avs.models.serialization import load_folder
from save_avs.runtimes.export_check import ExportCheck, expected, read_check_chunk, run_check
from save_avs.runtimes.export_graph import INPUTS, LARGEST, OUTPUT, SMALLEST, trace_whole
from save_avs.runtimes.export_targets import ExportTarget, find_target

ABOUT, RUNNER, CARD, EXAMPLE = "model.json", "run.py", "README.md", "example.npz"


def export_model(
    name_or_path: str | Path,
    folder: str | Path,
    *,
    to: str,
    precision: str = "fp32",
    check: str | Path | None = None,
    overwrite: bool = False,
    base: BaseWeightPaths = None,
) -> ExportCheck:
    """Export a model into a new folder that needs nothing of this program.

    Args:
        name_or_path: as ``load_model`` takes it.
        folder: to write; it appears when the check has passed.
        to: onnx, openvino or torch.
        precision: what it computes in: fp32, or bf16 where the target has it.
        check: a video with sound to compare with PyTorch on; None takes the bundled sample.
        overwrite: replace ``folder`` when it exists.
        base: where the checkpoints the model stands on may lie.

    Raises:
        UsageError: on an unknown model or target, missing packages, a folder that exists, a silent video.
        SaveAvsError: when the export disagrees with PyTorch.
    """
    target, arithmetic = find_target(to, precision)
    clip_file = Path(check) if check else Path(str(files("save_avs"))) / "bundled" / "sample.mp4"
    with atomic_folder(Path(folder), overwrite=overwrite) as part:
        model, config = load_folder(find_model_folder(name_or_path), base=base)
        clip = read_check_chunk(clip_file, model.frontend.sample_rate)
        wanted = expected(model, clip)
        exported = set_precision(copy.deepcopy(model), arithmetic, pack=False)
        target.write(trace_whole(exported), part)
        graph_files = sorted(path.name for path in part.iterdir())
        about = _facts(config, target, arithmetic)
        _write_json(part / ABOUT, about)
        atomic_write(part / RUNNER, _fill("run.py.jinja", target, about))
        threshold = about["threshold"]
        found = run_check(part, clip, wanted, name=clip_file.name, threshold=threshold)
        np.savez_compressed(
            part / EXAMPLE,
            frames=clip.frames,
            times=clip.times - clip.waveform_start,
            sound=clip.waveform,
            masks=wanted > threshold,
        )
        about["check"] = asdict(found)
        _write_json(part / ABOUT, about)
        atomic_write(part / CARD, _fill("README.md.jinja", target, about, files=graph_files))
    return found


def _facts(config: SaveConfig, target: ExportTarget, precision: Precision) -> dict[str, Any]:
    """What stands in model.json, but for the check."""
    frames, sounds = INPUTS
    frontend = config.frontend
    return {
        "version": 1,
        "model": config.name,
        "target": target.name,
        "precision": precision,
        "file": target.file,
        "inputs": {
            frames: {"type": "uint8", "shape": ["B", "H", "W", 3], "holds": "RGB"},
            sounds: {"type": "float32", "shape": ["B", frontend.num_samples], "holds": "-1..1, mono"},
        },
        "outputs": {OUTPUT: {"type": "float32", "shape": ["B", "H", "W"], "holds": "0..1"}},
        "threshold": SegmentationSettings().threshold,
        "audio": {
            "backbone": config.audio,
            "samples": frontend.num_samples,
            **asdict(frontend),
        },
        "picture": {
            "size": config.image_size,
            "resize": config.resize,
            "mean": PIXEL_MEAN,
            "std": PIXEL_STD,
        },
        "classes": config.classes,
        "made_by": {
            package: version(package)
            for package in ("save-avs", "torch", *(target.runtime.packages if target.runtime else ()))
        }
        | {"python": platform.python_version()},
    }


def _write_json(path: Path, about: dict[str, Any]) -> None:
    atomic_write(path, json.dumps(about, indent=2, ensure_ascii=False) + "\n")


def _fill(template: str, target: ExportTarget, about: dict[str, Any], **more: Any) -> str:
    from jinja2 import Environment, StrictUndefined

    source = files("save_avs.runtimes").joinpath(template).read_text("utf-8")
    pages = Environment(undefined=StrictUndefined, trim_blocks=True, keep_trailing_newline=True)
    return pages.from_string(source).render(
        about=about,
        package=target.package,
        load=target.load,
        needs=("numpy", target.package),
        sample_rate=about["audio"]["sample_rate"],
        smallest=SMALLEST,
        largest=LARGEST,
        **more,
    )
