"""`save-avs train` and `save-avs validate`: recipes."""

from __future__ import annotations

from typing import Annotated

import typer

EXAMPLES = """Examples:

\b
  save-avs train configs/save-tiny.yaml
  save-avs train configs/save-tiny.yaml out=runs/mine workers=1 stages.0.steps=200
"""

Config = Annotated[str, typer.Argument(metavar="CONFIG", help="A recipe (YAML).")]
Overrides = Annotated[
    list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="Values in place of the recipe's.")
]


def train(config: Config, overrides: Overrides = None) -> int:
    """Train a model by a recipe. Run the same command again to go on where it stopped."""
    from save_avs.training.recipe import load_recipe
    from save_avs.training.run import train as run

    folder = run(load_recipe(config, overrides), typer.echo)
    typer.echo(f"model: {folder}")
    return 0


def validate(config: Config, overrides: Overrides = None) -> int:
    """Check a recipe without training: every key and value, before any work."""
    from save_avs.training.recipe import load_recipe

    recipe = load_recipe(config, overrides)
    stages = ", ".join(f"{s.name} ({s.steps} steps)" for s in recipe.stages)
    typer.echo(f"{config}: valid; model {recipe.model.name}; stages {stages}")
    return 0
