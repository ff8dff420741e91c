"""`python -m save_avs` is `save-avs`."""

import sys

from save_avs.cli import main

if __name__ == "__main__":
    sys.exit(main())
