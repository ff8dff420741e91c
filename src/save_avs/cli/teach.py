"""`save-avs teach`: one more object for a model, from a few photographs and recordings."""

from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from save_avs.cli._console import plural, print_info, print_line
from save_avs.cli._options import Device, DryRun, ModelName, Overwrite, output_folder
from save_avs.errors import UsageError


def teach(
    name: Annotated[str, Argument(metavar="NAME", help="Name of the new class.")],
    images: Annotated[
        Path,
        Option(metavar="DIR", help="Photographs with NAME.mask.png next to them or a box, or RGBA cutouts."),
    ],
    sounds: Annotated[Path, Option(metavar="DIR", help="Recordings of its sound.")],
    boxes: Annotated[
        Path | None,
        Option(metavar="CSV", help="Rows of image,x0,y0,x1,y1, which --prompt-model turns into masks."),
    ] = None,
    output: Annotated[Path | None, output_folder("runs/teach/NAME", "Model folder to write.")] = None,
    model: ModelName = "save-small",
    prompt_model: Annotated[
        str, Option(metavar="NAME|PATH", help="SAM that makes masks from --boxes.")
    ] = "sam-vit-b",
    corpus: Annotated[
        str, Option(metavar="DIR|sample", help="Cutouts, sounds and backgrounds of old classes to rehearse.")
    ] = "sample",
    steps: Annotated[int, Option(min=1, help="Training steps of 16 frames.")] = 240,
    seed: Annotated[int, Option(min=0, help="Seed of the scenes.")] = 0,
    device: Device = "auto",
    overwrite: Overwrite = False,
    dry_run: DryRun = False,
) -> int:
    """Teach a model a new object: a new model that knows it and the old classes.

    \b
    Examples:
      save-avs teach kettle --images photos/ --sounds recordings/
      save-avs teach kettle --images photos/ --sounds recordings/ --boxes boxes.csv -o kettle-model
      save-avs teach kettle --images photos/ --sounds recordings/ --corpus objects --steps 400

    Five photographs and three recordings are a start. What the old classes lose is measured on scenes of the
    corpus, and printed.
    """
    target = output or Path("runs/teach") / name
    if dry_run:
        for folder in (images, sounds):
            if not folder.is_dir():
                raise UsageError(f"{folder}: no such folder")
        print_line(f"would teach {model} '{name}' in {plural(steps, 'step')} -> {target}")
        return 0
    from save_avs.cli._training_progress import TrainingProgress
    from save_avs.training.teach_new_class import teach as run

    with TrainingProgress() as progress:
        taught = run(
            name,
            images,
            sounds,
            target,
            model=model,
            boxes=boxes,
            prompt_model=prompt_model,
            corpus=corpus,
            steps=steps,
            seed=seed,
            device=device,
            overwrite=overwrite,
            callbacks=[progress],
            on_message=print_info,
        )
    given = f"{plural(taught.photos, 'image')} and {plural(taught.recordings, 'recording')}"
    print_line(f"learned '{name}' from {given} in {taught.seconds / 60:.1f} minutes")
    print_line(
        f"old classes ({len(taught.old_classes)} in {corpus}): mean IoU {taught.old_before:.3f} before, "
        f"{taught.old_after:.3f} after ({taught.old_after - taught.old_before:+.3f})"
    )
    print_line(f"model: {taught.folder}")
    return 0
