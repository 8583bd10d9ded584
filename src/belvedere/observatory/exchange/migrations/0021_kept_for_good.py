import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("exchange", "0020_retention_columns"),
    ]

    operations = [
        migrations.CreateModel(
            name="Picture",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("day", models.DateField(unique=True, verbose_name="jour")),
                ("source", models.CharField(max_length=120, verbose_name="fichier")),
            ],
            options={
                "verbose_name": "extraction de FINESS",
                "verbose_name_plural": "extractions de FINESS",
            },
        ),
        migrations.AddField(
            model_name="retentionrule",
            name="container",
            field=models.CharField(choices=[("seda", "SEDA 2.3"), ("bagit", "BagIt")], default="seda", max_length=6, verbose_name="paquet"),
        ),
        migrations.AddField(
            model_name="stated",
            name="said_by",
            field=models.CharField(
                choices=[("personne", "la personne"), ("representant", "son représentant")], default="personne", max_length=12, verbose_name="dit par"
            ),
        ),
        migrations.CreateModel(
            name="Baseline",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("code", models.CharField(max_length=40, verbose_name="jeu")),
                ("period", models.CharField(max_length=7, verbose_name="période")),
                ("content", models.BinaryField(verbose_name="fichier")),
                ("at", models.DateTimeField(verbose_name="reçu le")),
            ],
            options={
                "verbose_name": "fichier d’aujourd’hui",
                "verbose_name_plural": "fichiers d’aujourd’hui",
                "constraints": [models.UniqueConstraint(fields=("code", "period"), name="one_baseline_a_period")],
            },
        ),
        migrations.CreateModel(
            name="Establishment",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("finess", models.CharField(max_length=9, verbose_name="FINESS")),
                ("name", models.CharField(max_length=160, verbose_name="nom")),
                ("kind", models.CharField(max_length=4, verbose_name="catégorie FINESS")),
                ("department", models.CharField(max_length=3, verbose_name="département")),
                ("region", models.CharField(blank=True, max_length=4, verbose_name="région")),
                ("entity", models.CharField(blank=True, max_length=9, verbose_name="FINESS juridique")),
                ("opened_on", models.DateField(blank=True, null=True, verbose_name="ouvert le")),
                ("closed_on", models.DateField(blank=True, null=True, verbose_name="fermé le")),
                ("since", models.DateField(verbose_name="depuis")),
                ("source", models.CharField(max_length=120, verbose_name="fichier")),
            ],
            options={
                "verbose_name": "établissement de FINESS",
                "verbose_name_plural": "établissements de FINESS",
                "constraints": [models.UniqueConstraint(fields=("finess", "since"), name="one_establishment_at_a_time")],
            },
        ),
        migrations.CreateModel(
            name="Formerly",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("until", models.DateTimeField(verbose_name="jusqu’à")),
                ("kind", models.CharField(blank=True, max_length=4, verbose_name="catégorie FINESS")),
                ("department", models.CharField(blank=True, max_length=3, verbose_name="département")),
                ("region", models.CharField(blank=True, max_length=4, verbose_name="région")),
                ("party", models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name="+", to="exchange.party")),
            ],
            options={
                "verbose_name": "ancien état d’un acteur",
                "verbose_name_plural": "anciens états des acteurs",
                "indexes": [models.Index(fields=["party", "until"], name="exchange_fo_party_i_0d2c4a_idx")],
            },
        ),
    ]
