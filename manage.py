#!/usr/bin/env python
"""Django's own commands on the observatory; the people who run it use `belvedere`."""

import os
import sys

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "belvedere.observatory.settings")
    if "--deploy" in sys.argv:
        os.environ.setdefault("BELVEDERE_HTTPS", "1")  # a deployment stands behind HTTPS: that is what is checked
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)
