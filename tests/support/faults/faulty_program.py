"""`save-avs` within limits, with weights to fetch: faulty_program.py ARGUMENT..."""

from __future__ import annotations

import os
import resource
import signal
import sys
from pathlib import Path

from save_avs.weights.identity import sha256_of
from save_avs.weights.registry import PretrainedWeights, WeightsFile, pretrained_weights

if __name__ in ("__main__", "__mp_main__"):  # the second is what workers call the program they come from
    if limit := int(os.environ.get("FAULTS_ADDRESSES", "0")):
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    if name := os.environ.get("FAULTS_PUBLISHED"):
        whole = Path(name)
        file = WeightsFile(file=whole.name, url="", size=whole.stat().st_size, sha256=sha256_of(whole))
        pretrained_weights()["published"] = PretrainedWeights(
            name="published",
            description="weights of a test",
            files=(file,),
            sha256_source="here",
            license="none",
        )

if __name__ == "__main__":
    from save_avs.cli import main

    signal.signal(signal.SIGINT, signal.default_int_handler)  # it may come from a shell's background
    sys.exit(main())
