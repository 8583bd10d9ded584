"""`python -m belvedere`."""

import sys

from belvedere.cli import main

if __name__ == "__main__":  # a page process starts by importing this module again
    sys.exit(main())
