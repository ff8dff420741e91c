"""Learning curves of runs on clips: ``python -m studies.curves OUT.png FRAMES_PER_CLIP RUN...``.

A run is the folder VARIANT-seedK of a grid study. Runs of a variant share a color; steps become frames.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from save_avs.training.history import Curve, read_history
from save_avs.training.recipe import load_recipe
from save_avs.training.stage_config import ClipStage
from save_avs.visualization.plots import PALETTE, save_figure, style_axes
from studies.charts import label_x, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw_curves(runs: Sequence[Path], frames_per_clip: int) -> Figure:
    """Draw the loss and the validation's mIoU of each run over the frames it has seen."""
    figure = new_figure(7.2, 2.8)
    loss_axes, miou_axes = figure.subplots(1, 2)
    variants = list(dict.fromkeys(_variant(run) for run in runs))
    for run in runs:
        recipe = load_recipe(run / "recipe.yaml", [f"out={run}"])
        stage = recipe.stages[-1]
        assert isinstance(stage, ClipStage)
        scale = stage.items_per_step * (frames_per_clip if stage.batch_size else 1)
        history, n = read_history(recipe, stage), variants.index(_variant(run))
        for axes, curve in ((loss_axes, history.loss_terms["loss"]), (miou_axes, history.metrics["miou"])):
            axes.plot(*_over_frames(curve, scale), marker="o", markersize=2.5, linewidth=1, color=PALETTE[n])
    for axes, title in ((loss_axes, "training loss"), (miou_axes, "mIoU on val")):
        style_axes(axes, title)
        label_x(axes, "frames seen")
    for n, name in enumerate(variants):
        miou_axes.plot([], [], color=PALETTE[n], label=name)
    miou_axes.legend(fontsize=7, frameon=False)
    return figure


def _variant(run: Path) -> str:
    return run.name.rsplit("-seed", 1)[0]


def _over_frames(curve: Curve, scale: int) -> Curve:
    steps, values = curve
    return [step * scale for step in steps], values


if __name__ == "__main__":
    save_figure(sys.argv[1], draw_curves([Path(run) for run in sys.argv[3:]], int(sys.argv[2])))
