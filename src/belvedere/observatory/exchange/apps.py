from django.apps import AppConfig
from django.apps.registry import Apps
from django.apps.registry import apps as installed
from django.db import connections
from django.db.models.signals import post_migrate

from belvedere.engine.exchange import pathos


def keep_for_good(sender: AppConfig, using: str = "default", **given: object) -> None:
    """Guard what persons said and the matrices that stood, after every migration."""
    from belvedere.observatory.exchange.models import KEPT_FOR_GOOD
    from belvedere.observatory.journal import guards

    guards.restore(connections[using], KEPT_FOR_GOOD)


def hold_pathos(sender: AppConfig, apps: Apps = installed, using: str = "default", **given: object) -> None:
    """Keep the profiles of care of PATHOS, a short list that no official file carries: in a database emptied since its migrations too."""
    try:
        concept = apps.get_model("exchange", "Concept")
    except LookupError:
        return
    rows = [
        concept(valueset=pathos.VALUESET, system=pathos.SYSTEM, code=code, display=display, source="CNSA, guide d’utilisation de PATHOS, 2017")
        for code, display in pathos.PROFILES.items()
    ]
    key = ["valueset", "system", "code", "since"]
    concept.objects.using(using).bulk_create(rows, update_conflicts=True, update_fields=["display", "source"], unique_fields=key)


class Config(AppConfig):
    name = "belvedere.observatory.exchange"
    label = "exchange"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        post_migrate.connect(keep_for_good, sender=self)
        post_migrate.connect(hold_pathos, sender=self)
