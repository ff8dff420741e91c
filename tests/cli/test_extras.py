"""Commands without the extras they need."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_every_command_that_needs_an_extra_prints_its_pip_line_and_exits_with_2(tmp_path):
    command = [sys.executable, "scripts/check_extras.py"]
    environment = os.environ | {"HIDE_EXTRAS": "1", "SAVE_AVS_CACHE": str(tmp_path)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
