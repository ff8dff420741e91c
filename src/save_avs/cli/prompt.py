"""`save-avs prompt`: the object at a point or in a box of an image."""

from pathlib import Path
from typing import Annotated, Any

from typer import Argument, Option

from save_avs.cli._console import print_line
from save_avs.cli._options import Device, DryRun, Overwrite, check_overwrite, output_folder
from save_avs.errors import UsageError

UNSURE = 0.3  # predicted IoU below which a mask is doubtful


def prompt(
    image: Annotated[Path, Argument(metavar="IMAGE", help="Image, of any format that Pillow reads.")],
    points: Annotated[
        list[str] | None,
        Option("--point", metavar="X,Y", help="Pixel of the object, from 0,0 at the top left; repeatable."),
    ] = None,
    box: Annotated[
        str | None,
        Option(metavar="X0,Y0,X1,Y1", show_default=False, help="Box around the object, in pixels."),
    ] = None,
    output: Annotated[
        Path | None, output_folder("runs/prompt/<image>.png", "Mask to write.", metavar="PNG")
    ] = None,
    model: Annotated[
        str, Option(metavar="NAME|PATH", help="A SAM, fetched or a file; or a model trained with prompts.")
    ] = "sam-vit-b",
    device: Device = "auto",
    overwrite: Overwrite = False,
    dry_run: DryRun = False,
) -> int:
    """Segment the object at a point or in a box of an image with Segment Anything.

    \b
    Examples:
      save-avs prompt cat.jpg --point 320,200
      save-avs prompt cat.jpg --box 80,40,560,470 -o cat-mask.png
      save-avs prompt cat.jpg --point 320,200 --point 410,300 --model sam_vit_b_01ec64.pth

    The mask is an 8-bit PNG of the size of the image, 0 and 255.
    """
    from save_avs.inference.frame_folder import read_image

    where: dict[str, Any] = {"points": [_numbers("--point", text, 2) for text in points or ()]}
    where["box"] = None if box is None else _numbers("--box", box, 4)
    if not where["points"] and box is None:
        raise UsageError("nothing shows the object: give --point X,Y or --box X0,Y0,X1,Y1")
    if not image.is_file():
        raise UsageError(f"{image}: no such file")
    target = output or Path("runs/prompt") / f"{image.stem}.png"
    if target.suffix.lower() != ".png":
        raise UsageError(f"{target}: the output must be named .png, as in mask.png")
    check_overwrite(target, overwrite, "file")
    if dry_run:
        print_line(f"would segment {image} with {model} -> {target}")
        return 0
    pixels = read_image(image)

    from PIL import Image

    from save_avs._files import atomic_path
    from save_avs.models.prompting import segment_prompt
    from save_avs.runtimes.loading import load_prompt_model

    found = segment_prompt(load_prompt_model(model, device=device), pixels, **where)
    with atomic_path(target) as part:
        Image.fromarray(found.mask).convert("L").save(part, format="PNG")
    if found.iou < UNSURE:
        hint = "most SAVE models have forgotten prompts: try --model sam-vit-b"
        print_line(f"warning: {model} doubts its mask; {hint}", err=True)
    print_line(f"{target} ({found.mask.mean():.1%} of the image, predicted IoU {found.iou:.2f})")
    return 0


def _numbers(option: str, text: str, count: int) -> tuple[float, ...]:
    try:
        values = tuple(map(float, text.split(",")))
    except ValueError:
        values = ()
    if len(values) != count:
        example = "320,200" if count == 2 else "80,40,560,470"
        raise UsageError(f"{option} {text}: give {count} numbers with commas, as in {option} {example}")
    return values
