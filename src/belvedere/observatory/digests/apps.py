from django.apps import AppConfig


class Config(AppConfig):
    name = "belvedere.observatory.digests"
    label = "digests"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from belvedere.observatory.digests import actions
        from belvedere.observatory.notices.actions import COMPOSERS

        COMPOSERS[actions.KIND] = actions.compose
