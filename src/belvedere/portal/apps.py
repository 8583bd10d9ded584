from django.apps import AppConfig


class Config(AppConfig):
    name = "belvedere.portal"
    label = "portal"
