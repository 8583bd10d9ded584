"""People and their roles. A person is told by an e-mail address; second factors are allauth's."""

from typing import ClassVar

from django.contrib.auth.models import AbstractUser, UserManager
from django.db import models
from django.db.models import Q

from belvedere.observatory.members.models import Federation, Group


class Role(models.TextChoices):
    """What a person is to the observatory."""

    MEMBER = "member", "Adhérent"
    FEDERATION = "federation", "Fédération"
    OPERATOR = "operator", "Opérateur"


class EmailManager(UserManager):
    """Creates users from an e-mail address."""

    def create_user(self, email: str, password: str | None = None, **fields: object) -> "User":
        user = self.model(email=self.normalize_email(email), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user


class User(AbstractUser):
    """A person; a member's person belongs to a group, a federation's to a federation, never to both."""

    username = None
    email = models.EmailField("adresse électronique", unique=True)
    role = models.CharField("rôle", max_length=12, choices=Role.choices)
    group = models.ForeignKey(Group, models.PROTECT, null=True, blank=True, verbose_name="groupe")
    federation = models.ForeignKey(Federation, models.PROTECT, null=True, blank=True, verbose_name="fédération")

    USERNAME_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []
    objects = EmailManager()

    class Meta:
        verbose_name = "personne"
        constraints = (
            models.CheckConstraint(
                name="role_and_house_agree",
                condition=Q(role=Role.MEMBER, group__isnull=False, federation__isnull=True)
                | Q(role=Role.FEDERATION, group__isnull=True, federation__isnull=False)
                | Q(role=Role.OPERATOR, group__isnull=True, federation__isnull=True),
            ),
        )
