"""Signed-in people of each role, with the second factor that every page asks for."""

from django.test import Client

from belvedere.observatory.accounts import factors, people
from belvedere.observatory.accounts.models import OF_EXCHANGES, OF_FEDERATIONS, OF_MEMBERS, Role, User
from belvedere.observatory.exchange.models import Party


def house_of(role: Role, group=None, federation=None, party=None) -> dict:
    """The house that a role asks for; an actor of the exchange hub is made when none is given."""
    if role in OF_EXCHANGES:
        return {
            "party": party
            or Party.objects.get_or_create(actor="ESMS_PRODUCTEUR" if role == Role.ESTABLISHMENT else "ARS", name=f"Maison {role}", finess="")[0]
        }
    return {"group": group} if role in OF_MEMBERS else {"federation": federation} if role in OF_FEDERATIONS else {}


def person(role: Role, *, group=None, federation=None, entities=None, email: str | None = None, party=None) -> User:
    """An account of a role, in a group (whole unless entities are given) or a federation."""
    house = house_of(role, group, federation, party)
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
