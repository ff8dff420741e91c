"""`save-avs masks`: masks in the formats of other tools."""

from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from save_avs.cli._console import plural, print_line
from save_avs.cli._options import DryRun, Overwrite, output_folder

MAX_IMAGE_PIXELS = 1 << 40  # of all frames: five hours of 1080p30


def convert(
    source: Annotated[Path, Argument(metavar="MASKS.JSON", help="File that `save-avs segment` wrote.")],
    to: Annotated[str, Option(metavar="LIST", help="Formats, of coco, npz, png, cvat, labelstudio.")],
    output: Annotated[Path | None, output_folder("formats, next to it", "Folder to write.")] = None,
    images: Annotated[str, Option(metavar="PREFIX", help="Prefix of the image names in the files.")] = "",
    overwrite: Overwrite = False,
    dry_run: DryRun = False,
) -> int:
    """Convert a video's masks to other formats, in a new folder.

    \b
    Examples:
      save-avs masks convert runs/segment/clip/masks.json --to coco
      save-avs masks convert masks.json --to coco,npz,png -o formats
      save-avs masks convert masks.json --to labelstudio --images /data/local-files/?d=clip/

    \b
    coco         masks.coco.json         a COCO dataset
    npz          masks.npz               NumPy arrays
    png          masks/000123.png        one image per frame: gray, or of the objects' ids
    cvat         masks.cvat.xml          CVAT 1.1
    labelstudio  masks.labelstudio.json  Label Studio tasks with brushes
    """
    from save_avs._files import atomic_folder
    from save_avs.errors import UsageError
    from save_avs.formats import MASK_FORMATS, load_masks_json
    from save_avs.inference.settings import parse_outputs

    names = parse_outputs(to)
    if unknown := [name for name in names if name not in MASK_FORMATS] or (not names and [to]):
        raise UsageError(f"Unknown format '{unknown[0]}': choose from {', '.join(MASK_FORMATS)}")
    masks = load_masks_json(source, image_prefix=images)
    objects = sum(map(len, masks.video_masks.objects or ()))
    pixels = (len(masks.video_masks) + objects) * masks.video_masks.size[0] * masks.video_masks.size[1]
    if pixels > MAX_IMAGE_PIXELS and (images_named := [name for name in names if name in ("png", "npz")]):
        raise UsageError(f"{source}: {pixels:.0e} pixels, too many for {images_named[0]}: convert it to coco")
    folder = output or source.parent / "formats"
    if dry_run:
        print_line(f"would write {', '.join(names)} of {plural(len(masks.video_masks), 'frame')} -> {folder}")
        return 0
    with atomic_folder(folder, overwrite=overwrite) as part:
        for name in names:
            MASK_FORMATS[name].write(part / MASK_FORMATS[name].file, masks)
    for name in names:
        print_line(folder / MASK_FORMATS[name].file)
    return 0
