"""Peak memory of a case beyond its weights, measured in a separate process."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import torch
from inference_cases import Case

STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def peak_megabytes(case: Case) -> float | None:
    """Return the memory that a run needs beyond the weights; None on systems other than Linux."""
    if not CLEAR.exists():
        return None
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(_measure, case).result()


def _measure(case: Case) -> float:
    with torch.inference_mode():
        run = case.build()
        CLEAR.write_text("5")  # resets VmHWM
        before = _kilobytes("VmRSS")
        run()
        return (_kilobytes("VmHWM") - before) / 1024


def _kilobytes(field: str) -> int:
    line = next(line for line in STATUS.read_text().splitlines() if line.startswith(field))
    return int(line.split()[1])
