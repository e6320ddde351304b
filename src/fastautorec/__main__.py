"""``python -m fastautorec``, the same as the command ``fastautorec``."""

import sys

from fastautorec.cli import main

if __name__ == "__main__":
    sys.exit(main())
