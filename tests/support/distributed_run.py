"""Several training processes on this machine, as torchrun would start them, but forked: torch is loaded."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import socket
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from accelerate.state import AcceleratorState

FORK = multiprocessing.get_context("fork")
PATIENCE_S = 120


def run_together(count: int, work: Callable[[int], Any]) -> list[Any]:
    """What ``work(rank)`` returns or raises in each of ``count`` processes; None of one that was killed."""
    with socket.socket() as free, tempfile.TemporaryDirectory() as folder:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        outs = [Path(folder) / str(rank) for rank in range(count)]
        parts = [
            FORK.Process(target=_part, args=(rank, count, port, work, outs[rank])) for rank in range(count)
        ]
        for part in parts:
            part.start()
        for part in parts:
            part.join(PATIENCE_S)
        hung = [part for part in parts if part.is_alive()]
        for part in hung:
            part.kill()
        assert not hung, "a process hangs"
        return [pickle.loads(out.read_bytes()) if out.exists() else None for out in outs]


def _part(rank: int, count: int, port: int, work: Callable[[int], Any], out: Path) -> None:
    names = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": count, "LOCAL_WORLD_SIZE": count}
    os.environ.update({name: str(value) for name, value in names.items()})
    os.environ.update({"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)})
    torch.set_num_threads(1)
    AcceleratorState._reset_state(reset_partial_state=True)
    try:
        result = work(rank)
    except BaseException as error:
        traceback.print_exc()
        result = error
    out.write_bytes(pickle.dumps(result))
    os._exit(0)  # no clean-up of what the parent owns
