"""`save-avs export`: a model in a folder that needs nothing of this program."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

from typer import Option

from save_avs._text import json_document
from save_avs.cli._console import plural, print_block, print_line
from save_avs.cli._options import AsJson, DryRun, Overwrite, model_argument, output_folder


def export(
    model: Annotated[str, model_argument("NAME|PATH", "A bundled model, or a model's folder.")],
    to: Annotated[str, Option(metavar="onnx|openvino|torch", help="Target runtime.")],
    output: Annotated[Path | None, output_folder("runs/export/<model>-<to>", "Folder to write.")] = None,
    precision: Annotated[
        str, Option(metavar="fp32|bf16", help="Numeric precision of the graph; bf16 only with torch.")
    ] = "fp32",
    check: Annotated[
        Path | None,
        Option(
            metavar="CLIP",
            show_default="the bundled sample",
            help="Video with sound on which the export must agree with PyTorch.",
        ),
    ] = None,
    overwrite: Overwrite = False,
    as_json: AsJson = False,
    dry_run: DryRun = False,
) -> int:
    """Export a model for another program, and check that its masks are the same.

    \b
    Examples:
      save-avs export save-small --to onnx
      save-avs export runs/s4/model --to openvino -o s4-openvino --check clip.mp4
      save-avs export runs/s4/model --to torch --precision bf16 --json

    The folder holds the graph (frames and sound in, probabilities out), model.json, run.py, an example and a
    README. It appears only when its own runner gives the masks of PyTorch on the clip.
    """
    from save_avs.runtimes.export import export_model, get_target

    folder = output or Path("runs/export") / f"{Path(model).name}-{to}"
    if dry_run:
        get_target(to, precision)
        print_line(f"would export {model} for {to} in {precision} -> {folder}")
        return 0
    found = export_model(model, folder, to=to, precision=precision, check=check, overwrite=overwrite)
    if as_json:
        print_block(json_document({"version": 1, "folder": str(folder), "check": asdict(found)}))
        return 0
    print_line(
        f"checked on {plural(found.frames, 'frame')} of {found.clip} ({found.marked} with a mask): "
        f"probabilities differ from PyTorch's by at most {found.largest_difference:.2g}, "
        f"mean IoU of the masks {found.mask_iou:.4f}",
        err=True,
    )
    print_line(folder)
    return 0
