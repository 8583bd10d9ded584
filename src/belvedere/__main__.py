"""`python -m belvedere`."""

import sys

from belvedere.cli import main

sys.exit(main())
