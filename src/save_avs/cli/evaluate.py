"""`save-avs eval`: metrics of models with intervals, on a dataset of clips or on composed scenes."""

from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from save_avs.cli._evaluation import (
    EvaluationRun,
    MaskFiles,
    evaluate_by_sound,
    evaluate_on_clips,
    model_label,
)
from save_avs.cli._options import (
    AsJson,
    Device,
    DryRun,
    Overwrite,
    Precision,
    complete_models,
    output_folder,
    reject_options,
    resolve_output_dir,
)
from save_avs.errors import UsageError

SCENES, REAL = "scenes", "real"
DEFAULT_CORPUS, DEFAULT_SCENES, SCENES_SEED = Path("corpora/tuxpaint"), 600, 2024


def evaluate(
    models: Annotated[
        list[str] | None,
        Argument(
            metavar="NAME|PATH",
            help="Bundled models or models' folders; the others are compared with the first.",
            autocompletion=complete_models,
            show_default=False,
        ),
    ] = None,
    data: Annotated[
        str,
        Option(
            metavar="NAME",
            help="Dataset: s4, ms3, v1s, v1m, v2, avss, v3-0, v3-1, v3-3, v3-5, synthetic, folder, scenes, "
            "real.",
        ),
    ] = SCENES,
    root: Annotated[
        str | None, Option(metavar="DIR|URL", help="Folder or URL that contains the dataset.")
    ] = None,
    split: Annotated[str, Option(metavar="train|val|test", help="Split to evaluate on.")] = "test",
    protocols: Annotated[
        list[str] | None,
        Option(
            "--protocol",
            metavar="NAME",
            help="Protocol, of official, official-batch4, dataset, sama, gavs, cavp; repeatable.",
            show_default="official, official-batch4, dataset",
        ),
    ] = None,
    size: Annotated[
        int | None, Option(min=1, metavar="PX", help="Size at which the protocol `dataset` compares masks.")
    ] = None,
    as_published: Annotated[
        bool,
        Option(
            "--as-published",
            help="Read and score AVSS (v1s, v1m, v2, avss) as the benchmark's public code, padding included.",
        ),
    ] = False,
    output: Annotated[
        Path | None,
        output_folder("a new folder in runs/eval", "Folder for report.json, report.md and examples.png."),
    ] = None,
    overwrite: Overwrite = False,
    skip_broken: Annotated[
        bool, Option("--skip-broken", help="Leave broken clips out and list them; exit code 3.")
    ] = False,
    masks: Annotated[
        list[Path] | None,
        Option(
            metavar="DIR",
            help="Score masks that any system wrote, named as the dataset's annotations; repeatable.",
        ),
    ] = None,
    masks_hold: Annotated[
        str | None,
        Option(
            metavar="mask|probability|labels",
            help="What 8-bit PNGs of --masks hold; 16-bit ones hold probabilities.",
            show_default="mask",
        ),
    ] = None,
    save_masks: Annotated[
        Path | None,
        Option(metavar="DIR", help="Write the predicted masks, named as the dataset's annotations."),
    ] = None,
    mask_format: Annotated[
        str | None,
        Option(
            metavar="npz|png16|png",
            help="Of --save-masks: logits, which score the same by --masks; probabilities; or masks.",
            show_default="npz",
        ),
    ] = None,
    batch: Annotated[int, Option(min=1, help="Frames per batch.")] = 16,
    as_json: AsJson = False,
    seed: Annotated[
        int | None, Option(min=0, help="Seed of the intervals, the tests and the scenes.")
    ] = None,
    corpus: Annotated[
        Path | None, Option(metavar="DIR", help="Corpus from which scenes are composed.")
    ] = None,
    scenes: Annotated[int | None, Option(min=1, help="Number of scenes.")] = None,
    precision: Precision = "auto",
    device: Device = "auto",
    dry_run: DryRun = False,
) -> int:
    """Evaluate models, or masks of any system, on a dataset of clips; models also on composed scenes.

    \b
    Examples:
      save-avs eval save-small --data s4 --root AVSBench --split test
      save-avs eval runs/s4/model --data ms3 --root AVSBench --protocol official --protocol cavp
      save-avs eval save-small runs/s4/model --data s4 --root AVSBench --json
      save-avs eval save-small --data s4 --root AVSBench --save-masks masks
      save-avs eval --masks masks --masks theirs --data s4 --root AVSBench --protocol official
      save-avs eval save-small --data scenes --corpus sample
      save-avs eval save-small --data real --root photographs
    """
    from save_avs.evaluation.benchmark import DEFAULT_PROTOCOLS

    models, masks = models or [], masks or []
    if not models and not masks:
        raise UsageError("nothing to evaluate: give a model, or --masks DIR")
    if not masks:
        reject_options({"--masks-hold": masks_hold}, "--masks")
    if save_masks is None:
        reject_options({"--mask-format": mask_format}, "--save-masks")
    if data in (SCENES, REAL):
        only_clips = {
            "--protocol": protocols,
            "--size": size,
            "--skip-broken": skip_broken,
            "--json": as_json,
        }
        only_clips |= {"--as-published": as_published, "--masks": masks or None, "--save-masks": save_masks}
        only_clips |= {"--root": root} if data == SCENES else {}
        reject_options(only_clips, "datasets of clips")
        if len(models) > 1:
            raise UsageError("Models are compared on datasets of clips: give one model, or another --data")
    if data != SCENES:
        reject_options({"--corpus": corpus, "--scenes": scenes}, "--data scenes")
        if root is None:
            raise UsageError(f"--data {data} requires --root DIR, the folder containing the dataset")
    label = "-".join([*map(model_label, [*models, *map(str, masks)]), data, split])
    folder = resolve_output_dir(output, Path("runs/eval", label), overwrite=overwrite)
    run = EvaluationRun(folder, overwrite, dry_run, device, precision)
    if data == SCENES or root is None:
        seed = SCENES_SEED if seed is None else seed
        source, number = corpus or DEFAULT_CORPUS, scenes or DEFAULT_SCENES
        return evaluate_by_sound(run, models[0], source, split=split, scenes=number, seed=seed)
    if data == REAL:
        return evaluate_by_sound(run, models[0], Path(root), split=split, scenes=None, seed=seed or 0)
    settings = {"protocols": protocols or list(DEFAULT_PROTOCOLS), "size": size, "batch_size": batch}
    settings |= {"seed": seed or 0, "broken": "skip" if skip_broken else "stop"}
    files = MaskFiles(masks, masks_hold or "mask", save_masks, mask_format or "npz")
    return evaluate_on_clips(
        run, models, files, data, root, split, settings=settings, published=as_published, as_json=as_json
    )
