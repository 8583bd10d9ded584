"""WSGI entry point of the portal and the API."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "belvedere.observatory.settings")
application = get_wsgi_application()
