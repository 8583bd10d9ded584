from django.apps import AppConfig


class Config(AppConfig):
    name = "belvedere.observatory.accounts"
    label = "accounts"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from belvedere.observatory.accounts import watch

        watch.connect()
