from django.apps import AppConfig


class Config(AppConfig):
    name = "belvedere.observatory.collect"
    label = "collect"
    default_auto_field = "django.db.models.BigAutoField"
