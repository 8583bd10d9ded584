"""People and their roles. A person is told by an e-mail address; second factors are allauth's."""

from typing import ClassVar

from django.contrib.auth.models import AbstractUser, UserManager
from django.db import models
from django.db.models import Q

from belvedere.observatory.members.models import Federation, Group, Member


class Role(models.TextChoices):
    """What a person is to the observatory."""

    MEMBER_READER = "member_reader", "Lecteur d’un adhérent"
    MEMBER_ADMIN = "member_admin", "Administrateur d’un adhérent"
    ANALYST = "analyst", "Analyste d’une fédération"
    VALIDATOR = "validator", "Valideur d’une fédération"
    STATISTICIAN = "statistician", "Statisticien d’une fédération"
    OPERATOR = "operator", "Opérateur"
    AUDITOR = "auditor", "Auditeur"
    ESTABLISHMENT = "establishment", "Établissement médico-social"
    INSTITUTION = "institution", "Institution destinataire"


OF_MEMBERS = (Role.MEMBER_READER, Role.MEMBER_ADMIN)
OF_FEDERATIONS = (Role.ANALYST, Role.VALIDATOR, Role.STATISTICIAN)
OF_OBSERVATORY = (Role.OPERATOR, Role.AUDITOR)
OF_EXCHANGES = (Role.ESTABLISHMENT, Role.INSTITUTION)


class EmailManager(UserManager):
    """Creates users from an e-mail address."""

    def create_user(self, email: str, password: str | None = None, **fields: object) -> "User":
        user = self.model(email=self.normalize_email(email).lower(), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user


class User(AbstractUser):
    """A person; a member's person belongs to a group, a federation's to a federation, never to both.

    A member's person sees the entities it was given, or the whole group when that was said: nothing by default."""

    username = None
    email = models.EmailField("adresse électronique", unique=True)
    role = models.CharField("rôle", max_length=16, choices=Role.choices)
    group = models.ForeignKey(Group, models.PROTECT, null=True, blank=True, verbose_name="groupe", related_name="people")
    federation = models.ForeignKey(Federation, models.PROTECT, null=True, blank=True, verbose_name="fédération", related_name="people")
    whole_group = models.BooleanField("tout le groupe", default=False)
    party = models.ForeignKey("exchange.Party", models.PROTECT, null=True, blank=True, verbose_name="acteur des échanges", related_name="people")
    entities = models.ManyToManyField(Member, blank=True, verbose_name="entités", related_name="people")

    USERNAME_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []
    objects = EmailManager()

    class Meta:
        verbose_name = "personne"
        constraints = (
            models.CheckConstraint(
                name="role_and_house_agree",
                condition=Q(role__in=OF_MEMBERS, group__isnull=False, federation__isnull=True, party__isnull=True)
                | Q(role__in=OF_FEDERATIONS, group__isnull=True, federation__isnull=False, party__isnull=True, whole_group=False)
                | Q(role__in=OF_OBSERVATORY, group__isnull=True, federation__isnull=True, party__isnull=True, whole_group=False)
                | Q(role__in=OF_EXCHANGES, group__isnull=True, federation__isnull=True, party__isnull=False, whole_group=False),
            ),
        )

    def seen_entities(self) -> models.QuerySet[Member]:
        """The entities of its group that a member's person may see: the one rule for its pages and for what it may give."""
        own = Member.objects.filter(group=self.group) if self.group_id else Member.objects.none()
        return own if self.whole_group else own.filter(people=self)

    @property
    def actor(self) -> str:
        """How the journal names the person: a number, which says nothing once the account is gone."""
        return f"personne:{self.pk}"

    @property
    def house(self) -> str:
        """Where the person comes from, for the screen."""
        return str(self.group or self.federation or self.party or self.get_role_display())
