"""Signed-in people of each role, with the second factor that every page asks for."""

from django.test import Client

from belvedere.observatory.accounts import factors, people
from belvedere.observatory.accounts.models import OF_FEDERATIONS, OF_MEMBERS, Role, User


def person(role: Role, *, group=None, federation=None, entities=None, email: str | None = None) -> User:
    """An account of a role, in a group (whole unless entities are given) or a federation."""
    house = {"group": group} if role in OF_MEMBERS else {"federation": federation} if role in OF_FEDERATIONS else {}
    scope = {"whole_group": entities is None, "entities": entities or ()} if role in OF_MEMBERS else {}
    name = email or f"{role}-{User.objects.count()}@test.fr"
    made = people.open_account(email=name, role=role, by="test", **house, **scope)
    factors.give(made, factors.new_secret())
    return made


def browsing(user: User | None) -> Client:
    """A client signed in as a person; nobody when None."""
    client = Client(SERVER_NAME="localhost")
    if user:
        client.force_login(user, backend="allauth.account.auth_backends.AuthenticationBackend")
    return client
