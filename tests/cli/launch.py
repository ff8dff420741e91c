"""`save-avs` with the stand-in model, as a program of its own: launch.py ARGUMENT...

With STAND_IN_DELAY set, each batch takes that many seconds more.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import stand_in

import save_avs.model
from save_avs.cli import main


class Slow(stand_in.BrightWhereLoud):
    def forward(self, images, patches):
        time.sleep(float(os.environ.get("STAND_IN_DELAY", "0")))
        return super().forward(images, patches)


# a shell's background jobs ignore Ctrl-C, and what they start inherits that
signal.signal(signal.SIGINT, signal.default_int_handler)
save_avs.model.load_model = lambda *_, **__: Slow()
sys.exit(main())
