from django.apps import AppConfig
from django.db import connections
from django.db.models.signals import post_migrate


def keep_for_good(sender: AppConfig, using: str = "default", **given: object) -> None:
    """Guard what is never changed, after every migration: SQLite loses its triggers whenever it makes a table anew. Guards that stand are left alone."""
    from belvedere.observatory.exchange.models import KEPT_FOR_GOOD
    from belvedere.observatory.journal import guards

    connection = connections[using]
    held = set(connection.introspection.table_names())
    tables = {table: guard for table, guard in (guards.TABLES | KEPT_FOR_GOOD).items() if table in held}
    guards.install(connection, {table: tables[table] for table in guards.missing(connection, tables)})


class Config(AppConfig):
    name = "belvedere.observatory.exchange"
    label = "exchange"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        post_migrate.connect(keep_for_good, sender=self)
