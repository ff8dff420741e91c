"""Pictures of the simulated clusters."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from cluster_studies import A_CLIP, AGES, MACHINE, WORKLOADS, Efficiency, Size, left_by_failures
from matplotlib.figure import Figure

from save_avs.media.atomic import aside

STAGES = {"cores": "o", "gpus": "s", "writer": "X", "store": "D", "link": "v"}
NAMES = {"cores": "cores", "gpus": "GPU", "writer": "writer", "store": "store", "link": "network of a node"}


def draw_sizes(rows: Sequence[Size], file: Path) -> None:
    """Clips/s over nodes; the mark of a point says which stage holds it up."""
    figure = Figure(figsize=(9, 5), layout="constrained")
    axes = figure.subplots()
    for number, workload in enumerate(WORKLOADS):
        for by_nodes in (False, True):
            here = [row for row in rows if row.workload == workload and row.by_nodes == by_nodes]
            style = {"color": f"C{number}", "linestyle": "-" if by_nodes else "--"}
            rates = [row.report.rate for row in here]
            axes.loglog([row.nodes for row in here], rates, **style, zorder=1)
            for row in here:
                mark = STAGES[row.report.bottleneck]
                axes.scatter(row.nodes, row.report.rate, marker=mark, color=f"C{number}", s=55, zorder=2)
    for number, workload in enumerate(WORKLOADS):
        axes.plot([], [], color=f"C{number}", label=workload.name)
    axes.plot([], [], color="black", linestyle="-", label="nodes write")
    axes.plot([], [], color="black", linestyle="--", label="the driver writes")
    for stage in dict.fromkeys(row.report.bottleneck for row in rows):
        label = f"held up by: {NAMES[stage]}"
        axes.scatter([], [], marker=STAGES[stage], color="black", label=label)
    axes.set(xlabel="nodes of 16 cores", ylabel="clips of 10 s a second")
    _finish(figure, file)


def draw_efficiencies(rows: Sequence[Efficiency], file: Path) -> None:
    """Efficiency over the mean time between failures: points simulated, lines by the formula."""
    figure = Figure(figsize=(9, 4.5), layout="constrained")
    axes = figure.subplots()
    mtbfs = np.geomspace(600, 1000 * 3600, 200)
    for number, age in enumerate(AGES):
        formula = [left_by_failures(age, mtbf, MACHINE.reboot + A_CLIP / 2) for mtbf in mtbfs]
        axes.semilogx(mtbfs / 3600, formula, color=f"C{number}", label=f"a part every {age:.0f} s")
        here = [row for row in rows if row.age == age]
        axes.errorbar(
            [row.mtbf / 3600 * (0.94 + 0.04 * number) for row in here],  # beside each other
            [row.simulated.mean for row in here],
            [row.simulated.half for row in here],
            color=f"C{number}",
            fmt="o",
            capsize=3,
        )
    axes.errorbar([], [], [], fmt="o", color="black", capsize=3, label="simulated, 95 % interval")
    axes.set(
        xlabel="mean time between failures of the machine, hours",
        ylabel="share of an undisturbed run's speed",
        ylim=(0, 1.02),
    )
    _finish(figure, file)


def _finish(figure: Figure, file: Path) -> None:
    for one in figure.axes:
        one.grid(visible=True, alpha=0.3)
        one.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside right center", frameon=False)
    with aside(file) as part:
        figure.savefig(part, dpi=110)
