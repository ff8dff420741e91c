"""`save-avs masks`: masks in the formats of other tools."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from save_avs.cli._console import print_line
from save_avs.cli._options import DryRun, Overwrite

CONVERT_EXAMPLES = """Examples:

\b
  save-avs masks convert runs/segment/clip/masks.json --to coco
  save-avs masks convert masks.json --to coco,npz,png -o formats
  save-avs masks convert masks.json --to labelstudio --images /data/local-files/?d=clip/

\b
coco         masks.coco.json         a COCO data set
npz          masks.npz               NumPy arrays
png          masks/000123.png        a gray picture a frame
cvat         masks.cvat.xml          CVAT 1.1
labelstudio  masks.labelstudio.json  Label Studio tasks with brushes
"""

app = typer.Typer(help="Masks in the formats of other tools.", no_args_is_help=True)


@app.callback()
def _masks() -> None:
    """Masks in the formats of other tools."""


@app.command("convert", epilog=CONVERT_EXAMPLES)
def convert(
    source: Annotated[Path, typer.Argument(metavar="MASKS.JSON", help="What `save-avs segment` wrote.")],
    to: Annotated[str, typer.Option("--to", metavar="LIST", help="Of coco, npz, png, cvat, labelstudio.")],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="DIR",
            show_default="formats, beside it",
            help="The folder to write.",
        ),
    ] = None,
    images: Annotated[
        str, typer.Option("--images", metavar="PREFIX", help="What stands before the names of pictures.")
    ] = "",
    overwrite: Overwrite = False,
    dry_run: DryRun = False,
) -> int:
    """Write a video's masks in other formats, into a new folder."""
    from save_avs._files import atomic_folder
    from save_avs.errors import UsageError
    from save_avs.formats import MASK_FORMATS, load_masks_json
    from save_avs.inference.settings import parse_outputs

    names = parse_outputs(to)
    if unknown := [name for name in names if name not in MASK_FORMATS] or (not names and [to]):
        raise UsageError(f"no format {unknown[0]!r}; choose from {', '.join(MASK_FORMATS)}")
    masks = load_masks_json(source, image_prefix=images)
    folder = output or source.parent / "formats"
    if dry_run:
        print_line(f"would write {', '.join(names)} of {len(masks.video_masks)} frames -> {folder}")
        return 0
    with atomic_folder(folder, overwrite=overwrite) as part:
        for name in names:
            MASK_FORMATS[name].write(part / MASK_FORMATS[name].file, masks)
    for name in names:
        print_line(folder / MASK_FORMATS[name].file)
    return 0
