"""``python -m studies NAME``."""

import sys

from studies.cli import main

sys.exit(main())
