"""WSGI entry point of the portal and the API."""

import os

from belvedere.observatory.parentage import end_with_parent

end_with_parent()  # before the application is loaded, which takes a second
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "belvedere.observatory.settings")

from django.core.wsgi import get_wsgi_application  # noqa: E402

application = get_wsgi_application()
