"""When the door of the hub was seen open."""

from django.db import models


class Uptime(models.Model):
    """A day, since when it was watched, and the minutes at which the door answered."""

    day = models.DateField("jour", unique=True)
    since = models.DateTimeField("observé depuis")
    minutes = models.PositiveIntegerField("minutes ouvertes", default=0)

    class Meta:
        verbose_name = "disponibilité"
        ordering = ("day",)
