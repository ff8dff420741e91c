"""The engine of a cluster: Ray Data hands clips to actors, each with a worker process it looks after."""

from __future__ import annotations

import logging
import os
import pickle
import random
from collections.abc import Generator, Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from save_avs._extras import require
from save_avs.batch.messages import Entry, Kit, Outcome, Question
from save_avs.batch.supervisor import WorkerSupervisor
from save_avs.errors import SaveAvsError

if TYPE_CHECKING:
    from save_avs.types import F32

_BLOCK = 8  # clips of a task: what is done again when its machine is lost
_SPARE = 2  # logical processors beyond the actors': Ray Data's own tasks wait for one for ever otherwise


def run_ray(entries: Iterable[Entry], kit: Kit, workers: int) -> Generator[Outcome]:
    """Do clips by ``workers`` actors of the cluster at RAY_ADDRESS, or of one on this machine.

    Where the cluster has GPUs, an actor on each holds the model, and the workers decode, write and ask it;
    where it has none, each worker has a model of its own.

    A clip that kills its worker process does not kill the actor, so what becomes of it is as with
    ``run_local``; what an actor or a machine takes with it is done again by Ray.

    Raises:
        UsageError, SaveAvsError: no clip can be done.
    """
    require("cluster", "ray")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    items = [{"location": entry.location, "name": entry.name} for entry in entries]
    if not items:
        return
    import ray
    from ray.data import ActorPoolStrategy, DataContext, from_items

    here = {} if os.environ.get("RAY_ADDRESS") else {"num_cpus": workers + _SPARE, "include_dashboard": False}
    ray.init(log_to_driver=False, logging_level=logging.ERROR, **here)
    try:
        context = DataContext.get_current()
        context.enable_progress_bars = False
        logging.getLogger("ray.data").setLevel(logging.ERROR)
        lenders = _lenders(kit)
        if lenders:
            kit = replace(kit, lent=_answered(lenders[0].facts.remote()))
        blocks = min(len(items), max(_SPARE * workers, len(items) // _BLOCK))
        clips = from_items(items, override_num_blocks=blocks).map(
            _Actor,  # type: ignore[arg-type], Ray makes one an actor
            fn_constructor_args=(kit, lenders),
            compute=ActorPoolStrategy(size=workers),
            num_cpus=1,
        )
        for row in clips.iter_rows():
            said = pickle.loads(row["outcome"])
            if isinstance(said, SaveAvsError):
                raise said
            yield said
    finally:
        ray.shutdown()


class _Actor:
    """Does one clip after another; errors travel in the column, for an exception would end the whole run."""

    def __init__(self, kit: Kit, lenders: Sequence[Any]) -> None:
        def answer(question: Question) -> F32:
            return _answered(random.choice(lenders).answer.remote(question))

        self._supervisor = WorkerSupervisor(kit, answer=answer)

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        try:
            said = self._supervisor.run(Entry(row["location"], row["name"]))
        except SaveAvsError as error:
            said = error
        return {"outcome": pickle.dumps(said)}


def _lenders(kit: Kit) -> list[Any]:
    """An actor for each of the cluster's GPUs, with a model on it that all workers ask; none without GPUs."""
    import ray

    gpus = 0 if kit.device == "cpu" else int(ray.cluster_resources().get("GPU", 0))
    if not gpus:
        return []
    from save_avs.batch.remote_model import Lender

    # Wherever an actor and its machine go down, Ray starts another, and asks that.
    made = ray.remote(num_gpus=1, num_cpus=0, max_restarts=-1, max_task_retries=-1)(Lender)
    return [made.remote(kit) for _ in range(gpus)]


def _answered(asked: Any) -> Any:
    """What an actor says; an error of ours as it was raised there.

    Raises:
        UsageError, SaveAvsError: the actor raised it.
    """
    import ray
    from ray.exceptions import RayTaskError

    try:
        return ray.get(asked)
    except RayTaskError as error:
        raise error.cause if isinstance(error.cause, SaveAvsError) else error from error
