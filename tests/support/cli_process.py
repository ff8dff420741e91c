"""`save-avs` with the stand-in model, as a program of its own: cli_process.py ARGUMENT...

With STAND_IN_DELAY set, each batch takes that many seconds more.
"""

from __future__ import annotations

import os
import signal
import sys
import time

import save_avs.runtimes
from save_avs.cli import main
from tests.support import sample_videos as stand_in


class Slow(stand_in.BrightWhereLoud):
    def forward(self, images, log_mel):
        time.sleep(float(os.environ.get("STAND_IN_DELAY", "0")))
        return super().forward(images, log_mel)


# a shell's background jobs ignore Ctrl-C, and what they start inherits that
signal.signal(signal.SIGINT, signal.default_int_handler)
save_avs.runtimes.load_model = lambda *_, **__: Slow()
sys.exit(main())
