"""`save-avs train` and `save-avs validate`: training recipes."""

import os
from collections.abc import Sequence
from contextlib import nullcontext
from typing import Annotated

from typer import Argument, Option

from save_avs.cli._console import plural, print_line
from save_avs.cli._options import DryRun
from save_avs.errors import UsageError

Config = Annotated[str, Argument(metavar="CONFIG", help="A recipe: a YAML file, or a name such as s4-256.")]
Overrides = Annotated[
    list[str] | None, Argument(metavar="[KEY=VALUE]...", help="Values that replace the recipe's.")
]


def train(
    config: Config,
    overrides: Overrides = None,
    fast_dev_run: Annotated[
        bool, Option("--fast-dev-run", help="Run two steps of every stage and keep nothing.")
    ] = False,
    dry_run: DryRun = False,
) -> int:
    """Train a model by a recipe; run the same command again to resume.

    \b
    Examples:
      save-avs train save-tiny
      save-avs train save-tiny out=runs/mine workers=1 stages.0.steps=200
      save-avs train s4-256 --fast-dev-run
      torchrun --nproc-per-node 4 -m save_avs train s4-256

    Under torchrun, several processes train it together; the result is the same.
    """
    from save_avs.cli._training_progress import TrainingProgress
    from save_avs.training.recipe import load_recipe
    from save_avs.training.run_recipe import fast_dev_train
    from save_avs.training.run_recipe import train as run

    if dry_run:
        return validate(config, overrides)
    recipe = load_recipe(config, overrides)
    is_main = os.environ.get("RANK", "0") == "0"  # torchrun's
    with TrainingProgress() if is_main else nullcontext() as progress:
        callbacks = [progress] if progress else []
        if fast_dev_run:
            fast_dev_train(recipe, callbacks)
            message = "every stage ran; nothing was kept"
        else:
            message = f"model: {run(recipe, callbacks)}"
    if is_main:
        print_line(message)
    return 0


def validate(config: Config, overrides: Overrides = None) -> int:
    """Check a recipe without training: keys, values, data, weights, memory; exit code 2 if it cannot run.

    \b
    Examples:
      save-avs validate s4-256
      save-avs validate s4-256 stages.train.data.root=data/avsbench
    """
    from save_avs.training.recipe import RecipeError, load_recipe

    try:
        recipe = load_recipe(config, overrides)
    except RecipeError as error:
        return _print_problems(config, error.problems)
    from save_avs.training.recipe_check import check_recipe

    report = check_recipe(recipe)
    for line in report.lines:
        print_line(line)
    for warning in report.warnings:
        print_line(f"warning: {warning}", err=True)
    if report.problems:
        return _print_problems(config, report.problems)
    print_line(f"training would write to {recipe.out}")
    print_line(f"{config}: valid; run: save-avs train {' '.join([config, *(overrides or [])])}")
    return 0


def _print_problems(config: str, problems: Sequence[str]) -> int:
    """Print every problem on a line of its own, and return the exit code."""
    for problem in problems:
        print_line(f"save-avs: {problem}", err=True)
    print_line(f"{config}: {plural(len(problems), 'problem')}; nothing was trained", err=True)
    return UsageError.exit_code
