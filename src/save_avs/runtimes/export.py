"""Export of a model to a self-contained folder: graph, facts, runner, example; checked before it appears."""

import copy
import platform
from dataclasses import asdict
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from save_avs._extras import models_folder
from save_avs._files import atomic_folder, atomic_write
from save_avs._text import json_document
from save_avs.models.config import SaveConfig
from save_avs.models.precision import set_precision
from save_avs.models.preprocess import MASK_THRESHOLD
from save_avs.models.pretrained import PretrainedPaths
from save_avs.models.sam.sam import PIXEL_MEAN, PIXEL_STD
from save_avs.models.save import Precision
from save_avs.models.serialization import CARD as SOURCE_CARD
from save_avs.models.serialization import load_folder, read_license
from save_avs.runtimes.end_to_end_graph import INPUTS, LARGEST, OUTPUT, SMALLEST, trace_end_to_end
from save_avs.runtimes.export_check import (
    ExportCheck,
    read_check_chunk,
    reference_probabilities,
    run_check,
)
from save_avs.runtimes.export_targets import ExportTarget, get_target
from save_avs.runtimes.loading import find_model_folder

ABOUT, RUNNER, CARD, EXAMPLE = "model.json", "run.py", "README.md", "example.npz"
MODEL_CARD = "MODEL_CARD.md"  # the exported model's own, which says what it was trained on and its license


def export_model(
    name_or_path: str | Path,
    folder: str | Path,
    *,
    to: str,
    precision: str = "fp32",
    check: str | Path | None = None,
    overwrite: bool = False,
    pretrained: PretrainedPaths = None,
) -> ExportCheck:
    """Export a model to a new folder that runs without this program.

    Args:
        name_or_path: as for ``load_model``.
        folder: to write; it appears when the check has passed.
        to: onnx, openvino or torch.
        precision: fp32, or bf16 where the target supports it.
        check: a video with sound on which to compare with PyTorch; None takes the bundled sample.
        overwrite: replace ``folder`` when it exists.
        pretrained: as for ``load_model``.

    Raises:
        UsageError: on an unknown model or target, missing packages, an existing folder, a silent video.
        SaveAvsError: when the export disagrees with PyTorch.
    """
    target, target_precision = get_target(to, precision)
    source = find_model_folder(name_or_path)
    video = Path(check) if check else models_folder() / "sample.mp4"
    with atomic_folder(Path(folder), overwrite=overwrite) as part:
        model = load_folder(source, pretrained=pretrained)
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
    runtime_packages = target.runtime.packages if target.runtime else ()
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
            **{package: version(package) for package in ("save-avs", "torch", *runtime_packages)},
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
