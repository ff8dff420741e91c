"""Peak memory of a case beyond its weights, in a process of its own."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import torch
from cases import Case

STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def peak_megabytes(case: Case) -> float | None:
    """What one run takes on top of the weights; None where the system does not say; Linux does."""
    if not CLEAR.exists():
        return None
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(_measure, case).result()


def _measure(case: Case) -> float:
    with torch.inference_mode():
        run = case.build()
        CLEAR.write_text("5")  # the highest mark so far is forgotten
        before = _kilobytes("VmRSS")
        run()
        return (_kilobytes("VmHWM") - before) / 1024


def _kilobytes(field: str) -> int:
    line = next(line for line in STATUS.read_text().splitlines() if line.startswith(field))
    return int(line.split()[1])
