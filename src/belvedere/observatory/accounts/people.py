"""Open, invite and close accounts: the only writer of people. Nobody signs up by itself."""

from collections.abc import Sequence

from allauth.account.models import EmailAddress
from django.db import transaction
from django.utils import timezone

from belvedere.observatory.accounts.models import OF_MEMBERS, Role, User
from belvedere.observatory.exchange.models import Party
from belvedere.observatory.journal.actions import record
from belvedere.observatory.members.models import Federation, Group, Member
from belvedere.observatory.notices import actions as notices
from belvedere.observatory.notices.models import Link, Purpose


class AccountRefused(Exception):
    """Why an account cannot be opened or changed so, in French."""


@transaction.atomic
def open_account(
    *, email: str, role: Role, by: str, password: str | None = None, group: Group | None = None, federation: Federation | None = None,
    whole_group: bool = False, entities: Sequence[Member] = (), party: Party | None = None,
) -> User:  # fmt: skip
    """Create a person; AccountRefused when the address has an account already or an entity is another group's."""
    if User.objects.filter(email__iexact=email).exists():
        raise AccountRefused("Cette adresse a déjà un compte.")
    if any(entity.group_id != (group.pk if group else None) for entity in entities):
        raise AccountRefused("Une de ces entités n’est pas de ce groupe.")
    user = User.objects.create_user(email, password, role=role, group=group, federation=federation, whole_group=whole_group, party=party)
    user.entities.set(entities)
    EmailAddress.objects.create(user=user, email=user.email, verified=True, primary=True)
    record(
        by=by, action="personne.ouverte", subject=user.actor, role=str(role), group=group.pk if group else None,
        federation=federation.pk if federation else None, whole_group=whole_group, entities=sorted(entity.pk for entity in entities),
        **({"party": party.pk} if party else {}),
    )  # fmt: skip
    return user


@transaction.atomic
def invite(*, by: User | str, **fields: object) -> User:
    """Open an account without password and send its person a link to choose one."""
    actor = by if isinstance(by, str) else by.actor
    user = open_account(by=actor, **fields)
    notices.post("invitation", to=user.email, purpose=Purpose.INVITE, subject=user.pk, by=actor)
    return user


@transaction.atomic
def invite_colleague(*, by: User, email: str, role: Role, whole_group: bool, entities: Sequence[Member]) -> User:
    """A member's administrator invites its own people, to what it sees itself at most."""
    if role not in OF_MEMBERS:
        raise AccountRefused("Un administrateur invite des lecteurs et des administrateurs de son groupe.")
    if (whole_group and not by.whole_group) or set(entities) - set(by.seen_entities()):
        raise AccountRefused("Vous ne pouvez donner que les entités que vous voyez vous-même.")
    if not whole_group and not entities:
        raise AccountRefused("Choisissez tout le groupe, ou au moins une entité.")
    return invite(by=by, email=email, role=role, group=by.group, whole_group=whole_group, entities=() if whole_group else entities)


@transaction.atomic
def accept(*, link: Link, password: str) -> User:
    """An invited person chooses a password; the link is used up."""
    user = User.objects.select_for_update(of=("self",)).get(pk=link.subject)
    user.set_password(password)
    user.save(update_fields=["password"])
    notices.use(link)
    record(by=user.actor, action="personne.entree", subject=user.actor)
    return user


@transaction.atomic
def end(*, user: User, by: str) -> None:
    """End an account: no sign-in any more, and its sessions end with it."""
    user.is_active = False
    user.save(update_fields=["is_active"])
    Link.objects.filter(purpose=Purpose.INVITE, subject=user.pk, used_at=None).update(used_at=timezone.now())
    record(by=by, action="personne.fermee", subject=user.actor)


def close(*, user: User, by: User) -> None:
    """End somebody else's account."""
    if user.pk == by.pk:
        raise AccountRefused("Vous ne pouvez pas fermer votre propre compte.")
    end(user=user, by=by.actor)
