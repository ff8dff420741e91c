"""A process that tries cases within limits: names on stdin, reports on stdout, a line of JSON each."""

from __future__ import annotations

import json
import os
import resource
from dataclasses import asdict
from pathlib import Path

ADDRESSES = 4 << 30  # bytes at most that the process may take beyond what it has taken at its start


def main() -> None:
    import torch

    import save_avs.inference  # noqa: F401, what it takes to be imported is no case's
    from tests.support.hostile.all_cases import CASES
    from tests.support.hostile.attempt import attempt
    from tests.support.hostile.valid_inputs import model

    torch.set_num_threads(1)
    os.environ["SAVE_AVS_CACHE"] = str(model().parent / "cache")
    taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (taken + ADDRESSES, resource.RLIM_INFINITY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    names, reports = os.fdopen(os.dup(0)), os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)  # a case must not read the names
    for line in names:
        print(json.dumps(asdict(attempt(CASES[json.loads(line)]))), file=reports, flush=True)


if __name__ == "__main__":
    main()
