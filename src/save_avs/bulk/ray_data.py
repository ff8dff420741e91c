"""The engine of a cluster: Ray Data hands clips to actors, each with a worker process it looks after."""

from __future__ import annotations

import logging
import os
import pickle
from collections.abc import Generator, Iterable
from typing import Any

from save_avs.bulk.extra import require
from save_avs.bulk.hand import Hand
from save_avs.bulk.outcome import Entry, Kit, Outcome
from save_avs.errors import SaveAvsError

_BLOCK = 8  # clips of a task: what is done again when its machine is lost
_SPARE = 2  # logical processors beyond the actors': Ray Data's own tasks wait for one for ever otherwise


def run_ray(entries: Iterable[Entry], kit: Kit, workers: int) -> Generator[Outcome]:
    """Do clips by ``workers`` actors of the cluster at RAY_ADDRESS, or of one on this machine.

    A clip that kills its worker process does not kill the actor, so what becomes of it is as with
    ``run_local``; what an actor or a machine takes with it is done again by Ray.

    Raises:
        UsageError, SaveAvsError: no clip can be done.
    """
    require("ray", "pyarrow")
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
        blocks = min(len(items), max(_SPARE * workers, len(items) // _BLOCK))
        clips = from_items(items, override_num_blocks=blocks).map(
            _Actor,  # type: ignore[arg-type], Ray makes one an actor
            fn_constructor_args=(kit,),
            compute=ActorPoolStrategy(size=workers),
            num_cpus=1,
            num_gpus=_share_of_gpus(kit, workers),
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

    def __init__(self, kit: Kit) -> None:
        self._hand = Hand(kit)

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        try:
            said = self._hand.do(Entry(row["location"], row["name"]))
        except SaveAvsError as error:
            said = error
        return {"outcome": pickle.dumps(said)}


def _share_of_gpus(kit: Kit, workers: int) -> float:
    """What each actor takes of the cluster's GPUs: whole ones, or an even part of one."""
    import ray

    gpus = 0 if kit.device == "cpu" else ray.cluster_resources().get("GPU", 0)
    share = gpus / workers
    return float(int(share)) if share >= 1 else share
