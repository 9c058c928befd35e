"""``python -m overnight``."""

import sys

from overnight.cli import main

if __name__ == "__main__":
    sys.exit(main())
