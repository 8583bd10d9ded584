from django.apps import AppConfig
from django.db import connections
from django.db.models.signals import post_migrate


class Config(AppConfig):
    name = "belvedere.observatory.journal"
    label = "journal"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from django.core.signals import request_finished, request_started

        for signal in (request_started, request_finished):
            signal.connect(_nobody, dispatch_uid=f"journal-{id(signal)}")
        post_migrate.connect(_guarded, sender=self)


def _guarded(using: str = "default", **_: object) -> None:
    """The journal's triggers stand after every migration: SQLite loses them whenever it makes a table anew."""
    from belvedere.observatory.journal import guards

    guards.restore(connections[using])


def _nobody(**_: object) -> None:
    """A thread serves one call after another: what was known of who called is forgotten with it."""
    from belvedere.observatory.journal import actions

    actions.behind.set({})
