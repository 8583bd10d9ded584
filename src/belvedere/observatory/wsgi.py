"""WSGI entry point of the portal and the API."""

import ctypes
import os
import signal
import sys

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "belvedere.observatory.settings")
if sys.platform == "linux":
    # The web process ends with its server, however that one dies: 1 is PR_SET_PDEATHSIG.
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)
application = get_wsgi_application()
