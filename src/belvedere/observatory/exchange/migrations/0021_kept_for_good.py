import datetime

from django.db import migrations, models

from belvedere.engine.exchange import pathos
from belvedere.observatory.exchange.models import KEPT_FOR_GOOD
from belvedere.observatory.journal import guards


def guard(apps, schema_editor) -> None:
    """What persons said is refused any change by the database itself. A later migration of their table lifts the guards, and puts them back."""
    guards.install(schema_editor.connection, KEPT_FOR_GOOD)


def unguard(apps, schema_editor) -> None:
    guards.lift(schema_editor.connection, KEPT_FOR_GOOD)


def hold_pathos(apps, schema_editor) -> None:
    """The profiles of care of PATHOS: a short list that no official file carries."""
    concept = apps.get_model("exchange", "Concept")
    source = "CNSA, guide d’utilisation de PATHOS, 2017"
    for code, display in pathos.PROFILES.items():
        concept.objects.update_or_create(valueset=pathos.VALUESET, system=pathos.SYSTEM, code=code, defaults={"display": display, "source": source})


class Migration(migrations.Migration):
    dependencies = [
        ("exchange", "0020_retention_columns"),
    ]

    operations = [
        migrations.AddField(
            model_name="stated",
            name="said_by",
            field=models.CharField(
                choices=[
                    ("personne", "la personne"),
                    ("representant", "son représentant"),
                ],
                default="personne",
                max_length=12,
                verbose_name="dit par",
            ),
        ),
        migrations.AddField(
            model_name="retentionrule",
            name="container",
            field=models.CharField(choices=[("seda", "SEDA 2.3"), ("bagit", "BagIt")], default="seda", max_length=6, verbose_name="paquet"),
        ),
        migrations.CreateModel(
            name="Establishment",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("finess", models.CharField(max_length=9, verbose_name="FINESS")),
                ("name", models.CharField(max_length=160, verbose_name="nom")),
                ("kind", models.CharField(blank=True, max_length=4, verbose_name="catégorie FINESS")),
                ("department", models.CharField(blank=True, max_length=3, verbose_name="département")),
                ("region", models.CharField(blank=True, max_length=4, verbose_name="région")),
                ("entity", models.CharField(blank=True, max_length=9, verbose_name="FINESS juridique")),
                ("opened_on", models.DateField(blank=True, null=True, verbose_name="ouvert le")),
                ("closed_on", models.DateField(blank=True, null=True, verbose_name="fermé le")),
                ("since", models.DateField(verbose_name="depuis")),
                ("until", models.DateField(default=datetime.date(9999, 12, 31), verbose_name="jusqu’au")),
                ("source", models.CharField(max_length=120, verbose_name="fichier")),
            ],
            options={
                "verbose_name": "établissement de FINESS",
                "verbose_name_plural": "établissements de FINESS",
                "constraints": [models.UniqueConstraint(fields=("finess", "since"), name="one_establishment_at_a_time")],
            },
        ),
        migrations.RunPython(hold_pathos, migrations.RunPython.noop),
        migrations.RunPython(guard, unguard),
    ]
