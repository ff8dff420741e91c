"""One run: train, score, write down."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from save_avs._files import atomic_write
from save_avs.errors import UsageError
from save_avs.training.history import read_history
from save_avs.training.run import train
from studies.budget import items_a_step, machine
from studies.log import LogCallback
from studies.result import Result, Spent, sums_of_starts
from studies.runs import Run
from studies.scoring import score, score_start

DIGEST = "digest"


def execute(run: Run, folder: Path, say: Callable[[str], None]) -> Result:
    """Train a run, or go on where it stopped, score it and write its result into the study's folder.

    Raises:
        UsageError: when something it needs is not there, or its folder holds a run of another recipe.
        SaveAvsError: when its training fails.
    """
    teller = LogCallback(run.name, say)
    if run.prompt is None:
        atomic_write(run.recipe.out / DIGEST, check_place(run))
        scores = score(run, train(run.recipe, [teller]), teller.scored)
    else:
        scores = score_start(run, teller.scored)
    result = Result(
        study=run.study,
        variant=run.variant,
        seed=run.seed,
        digest=run.digest,
        starts=sums_of_starts(run),
        recipe=run.recipe.model_dump(mode="json"),
        evaluation=run.evaluation.model_dump(mode="json"),
        spent=spent_on(run),
        scores=scores,
    )
    result.save(folder)
    return result


def check_place(run: Run) -> str:
    """See that a run's folder is its own, or not there; returns the line that marks it.

    Raises:
        UsageError: when it is another's, or what the run starts from is not there.
    """
    marker, mine = run.recipe.out / DIGEST, " ".join((run.digest, *sums_of_starts(run))) + "\n"
    if marker.exists() and marker.read_text() != mine:
        raise UsageError(
            f"{run.recipe.out} holds a run of another recipe, or from another start: name another folder "
            "with -o, or remove it"
        )
    return mine


def spent_on(run: Run) -> Spent:
    """What the training of a finished run took, by its folder."""
    items, seconds, memory = 0, 0.0, None
    if run.prompt is None:
        histories = [read_history(run.recipe, stage) for stage in run.recipe.stages]
        items = sum(history.progress.step * items_a_step(history.stage) for history in histories)
        seconds = sum(history.progress.seconds for history in histories)
        memory = max(row["memory_gb"] for row in histories[-1].training)
    return Spent(items=items, seconds=round(seconds, 1), memory_gb=memory, machine=machine())
