from django.db import migrations

from belvedere.observatory.journal import guards


def install(apps, schema_editor):
    """The guards against REPLACE and TRUNCATE, where the first ones stand already."""
    guards.install(schema_editor.connection)


class Migration(migrations.Migration):
    dependencies = [("journal", "0002_evidence")]

    operations = [migrations.RunPython(install, migrations.RunPython.noop)]
