from django.apps import AppConfig
from django.db import connections
from django.db.models.signals import post_migrate


def keep_for_good(sender: AppConfig, using: str = "default", **given: object) -> None:
    """Guard what persons said and the matrices that stood, after every migration."""
    from belvedere.observatory.exchange.models import KEPT_FOR_GOOD
    from belvedere.observatory.journal import guards

    guards.restore(connections[using], KEPT_FOR_GOOD)


class Config(AppConfig):
    name = "belvedere.observatory.exchange"
    label = "exchange"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        post_migrate.connect(keep_for_good, sender=self)
