from django.apps import AppConfig


class Config(AppConfig):
    name = "belvedere.observatory.study"
    label = "study"
    default_auto_field = "django.db.models.BigAutoField"
