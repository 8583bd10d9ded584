from django.apps import AppConfig


class Config(AppConfig):
    name = "belvedere.observatory.publication"
    label = "publication"
    default_auto_field = "django.db.models.BigAutoField"
