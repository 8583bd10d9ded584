"""What a reader keeps on its desk: baskets of territories or families, and alert rules on its own figures."""

from django.conf import settings
from django.db import models

KINDS = [("territory", "territoires"), ("product", "familles")]
DIRECTIONS = [("down", "baisse"), ("up", "hausse"), ("both", "change")]


class Basket(models.Model):
    """Several territories, or several families, read together under a name."""

    person = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, verbose_name="personne", related_name="baskets")
    name = models.CharField("nom", max_length=60)
    kind = models.CharField("nature", max_length=10, choices=KINDS)
    codes = models.CharField("codes", max_length=600)  # as addresses write them: separated by commas
    at = models.DateTimeField("créé le", auto_now_add=True)

    class Meta:
        verbose_name = "panier"
        ordering = ("name",)
        constraints = (models.UniqueConstraint(fields=["person", "name"], name="one_basket_by_name"),)


class AlertRule(models.Model):
    """Tell me when a figure of mine, over three months, has changed by more than so many per cent in a year."""

    person = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, verbose_name="personne", related_name="alerts")
    indicator = models.CharField("indicateur", max_length=40)
    product = models.CharField("famille", max_length=12, default="*")
    direction = models.CharField("sens", max_length=4, choices=DIRECTIONS)
    percent = models.PositiveSmallIntegerField("seuil (%)")
    at = models.DateTimeField("créée le", auto_now_add=True)

    class Meta:
        verbose_name = "règle d’alerte"
        verbose_name_plural = "règles d’alerte"
        ordering = ("pk",)
        constraints = (models.UniqueConstraint(fields=["person", "indicator", "product", "direction"], name="one_rule_by_figure"),)
