"""``python -m nam_like`` is the command ``nam_like``."""

import sys

from nam_like.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
