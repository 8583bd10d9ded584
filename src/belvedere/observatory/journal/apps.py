from django.apps import AppConfig


class Config(AppConfig):
    name = "belvedere.observatory.journal"
    label = "journal"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from django.core.signals import request_finished, request_started

        for signal in (request_started, request_finished):
            signal.connect(_nobody, dispatch_uid=f"journal-{id(signal)}")


def _nobody(**_: object) -> None:
    """A thread serves one call after another: what was known of who called is forgotten with it."""
    from belvedere.observatory.journal import actions

    actions.behind.set({})
