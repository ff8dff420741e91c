"""`save-avs train` and `save-avs validate`: recipes."""

from __future__ import annotations

import os
from contextlib import nullcontext
from typing import TYPE_CHECKING, Annotated

import typer

from save_avs.cli._console import print_line
from save_avs.cli._options import DryRun
from save_avs.errors import UsageError

if TYPE_CHECKING:
    from save_avs.training.recipe_check import RecipeReport

EXAMPLES = """Examples:

\b
  save-avs train configs/save-tiny.yaml
  save-avs train configs/save-tiny.yaml out=runs/mine workers=1 stages.0.steps=200
  save-avs train configs/s4-256.yaml --fast-dev-run
  torchrun --nproc-per-node 4 -m save_avs train configs/s4-256.yaml
  save-avs validate configs/s4-256.yaml stages.train.data.root=data/avsbench
  save-avs train configs/s4-256.yaml stages.train.batch_size=8
"""

Config = Annotated[str, typer.Argument(metavar="CONFIG", help="A recipe (YAML).")]
Overrides = Annotated[
    list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="Values in place of the recipe's.")
]


def train(
    config: Config,
    overrides: Overrides = None,
    fast_dev_run: Annotated[
        bool, typer.Option(help="Rehearse: two steps of every stage, everything used once, nothing kept.")
    ] = False,
    dry_run: DryRun = False,
) -> int:
    """Train a model by a recipe. Run the same command again to go on where it stopped.

    Under torchrun, several processes train it together; the result is the same.
    """
    from save_avs.cli._training_display import TrainingProgress
    from save_avs.training.fast_dev_run import fast_dev_train
    from save_avs.training.recipe import load_recipe
    from save_avs.training.run import train as run

    if dry_run:
        return validate(config, overrides)
    recipe = load_recipe(config, overrides)
    main = os.environ.get("RANK", "0") == "0"  # torchrun's number of the process
    with TrainingProgress() if main else nullcontext() as display:
        callbacks = [display] if display else []
        if fast_dev_run:
            fast_dev_train(recipe, callbacks)
            said = "every stage ran; nothing was kept"
        else:
            said = f"model: {run(recipe, callbacks)}"
    if main:
        print_line(said)
    return 0


def validate(config: Config, overrides: Overrides = None) -> int:
    """Check a recipe without training: keys, values, data, weights, memory. Exit code 2 if it cannot run."""
    from save_avs.training.recipe import RecipeError, load_recipe

    try:
        recipe = load_recipe(config, overrides)
    except RecipeError as error:
        return _refuse(config, error.problems)
    from save_avs.training.recipe_check import check_recipe

    found = check_recipe(recipe)
    _show(found)
    if found.problems:
        return _refuse(config, found.problems)
    print_line(f"training would write to {recipe.out}")
    print_line(f"{config}: valid; run: save-avs train {' '.join([config, *(overrides or [])])}")
    return 0


def _show(found: RecipeReport) -> None:
    for line in found.lines:
        print_line(line)
    for warning in found.warnings:
        print_line(f"warning: {warning}", err=True)


def _refuse(config: str, problems: tuple[str, ...] | list[str]) -> int:
    """Print every problem on a line of its own; the exit code."""
    for problem in problems:
        print_line(f"save-avs: {problem}", err=True)
    count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
    print_line(f"{config}: {count}; nothing was trained", err=True)
    return UsageError.exit_code
