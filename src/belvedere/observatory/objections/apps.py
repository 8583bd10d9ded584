from django.apps import AppConfig


class Config(AppConfig):
    name = "belvedere.observatory.objections"
    label = "objections"
    default_auto_field = "django.db.models.BigAutoField"
