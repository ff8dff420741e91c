"""A bulk run: what is to do of an archive, doing it, and how long that will take."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

from save_avs.batch.local_engine import run_local
from save_avs.batch.messages import PASSING, Done, Entry, Failed, Kit, Outcome
from save_avs.batch.output import BulkFolder, Results
from save_avs.batch.ray_engine import run_ray
from save_avs.batch.storage import identity_of
from save_avs.models.loading import find_model_folder
from save_avs.models.serialization import WEIGHTS
from save_avs.weights.identity import sha256_of

Engine = Callable[[Iterable[Entry], Kit, int], Generator[Outcome]]

ENGINES: dict[str, Engine] = {"local": run_local, "ray": run_ray}


@dataclass(frozen=True)
class Plan:
    """What is to do.

    Attributes:
        todo: clips without a result of the file as it is now.
        done: clips that are done.
        failed: those that could not be done, and are not tried again.
        redo: names of clips in ``todo`` that have a former result.
    """

    todo: Sequence[Entry]
    done: int
    failed: Sequence[Failed]
    redo: frozenset[str]


def plan_run(entries: Sequence[Entry], folder: BulkFolder, *, retry_failed: bool = False) -> Plan:
    """Compare an archive with the results there are; files that have changed since are done again.

    So are clips that failed for want of something that may be there now; others only with ``retry_failed``.

    Raises:
        DataError: a table of the folder cannot be read.
    """
    done, failed = folder.done(), folder.failed()
    todo: list[Entry] = []
    for entry in entries:
        former = failed.get(entry.name)
        known = done.get(entry.name) if former is None else former.identity
        now = identity_of(entry) or known
        again = former is not None and (retry_failed or former.status in PASSING)
        if known is None or now != known or again:
            todo.append(entry)
    names = {entry.name for entry in todo}
    asked = {entry.name for entry in entries} - names
    return Plan(
        todo=todo,
        done=len(asked & done.keys()),
        failed=[clip for name, clip in failed.items() if name in asked],
        redo=frozenset(names & (done.keys() | failed.keys())),
    )


def request_of(kit: Kit) -> Mapping[str, Any]:
    """What decides the results, so that one folder holds results of one kind.

    Raises:
        UsageError: there is no such model.
    """
    return {
        "version": 1,
        "model": sha256_of(find_model_folder(kit.model) / WEIGHTS),
        "precision": kit.precision,
        "runtime": kit.runtime,
        "fps": kit.fps,
        "threshold": kit.threshold,
        "overlays": kit.overlays is not None,
    }


def carry_out(
    plan: Plan, folder: BulkFolder, results: Results, kit: Kit, *, engine: str, workers: int
) -> Iterator[Outcome]:
    """Do what is to do, add it to the results, and yield what became of each clip.

    The plan must have been made while ``results`` of ``folder`` were open: nobody else adds to them then.

    Raises:
        UsageError, SaveAvsError: no clip can be done.
    """
    if plan.redo:
        folder.forget(plan.redo)
    scratch = str(folder.scratch.absolute()) if engine == "local" else None
    with closing(ENGINES[engine](plan.todo, replace(kit, scratch=scratch), workers)) as outcomes:
        for outcome in outcomes:
            results.add(outcome)
            yield outcome


def measure(plan: Plan, kit: Kit, *, engine: str, workers: int) -> float | None:
    """Seconds a clip takes when all workers are busy, from some of the plan's; nothing is written.

    None when none of them could be done.
    """
    few = 2 * workers
    step = max(1, len(plan.todo) // few)
    sample = plan.todo[::step][:few]
    outcomes = list(ENGINES[engine](sample, replace(kit, overlays=None), workers))
    seconds = [outcome.seconds for outcome in outcomes if isinstance(outcome, Done)]
    return sum(seconds) / len(seconds) / workers if seconds else None
