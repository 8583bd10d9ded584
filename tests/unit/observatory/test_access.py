"""Every address as every role, against the one table: an address without a rule answers nobody."""

import contextlib
import re

import pytest
from django.test import Client
from django.urls import NoReverseMatch, URLPattern, get_resolver, reverse

from belvedere.api.auth import API_RULES, Caller
from belvedere.api.routes import api
from belvedere.observatory.accounts.models import OF_MEMBERS, Role, User
from belvedere.observatory.accounts.permissions import ALLOWED, Action
from belvedere.observatory.journal.models import Entry
from belvedere.observatory.members.actions import issue_sender_key
from belvedere.portal.access import READ_AND_TOLD, RULES, Open, rule_of
from tests.exchange import bearer, institution
from tests.people import browsing, house_of, person


def addresses(resolver=None, before=""):
    """(name, pattern) of every address of the site."""
    for item in (resolver or get_resolver()).url_patterns:
        if isinstance(item, URLPattern):
            yield before + (item.name or ""), item
        else:
            yield from addresses(item, before + (f"{item.namespace}:" if item.namespace else ""))


SAMPLES = {"pk": 1, "number": 1, "provider_id": "sante", "uidb36": "1", "key": "x-y", "kind": "patient", "name": "convention", "table": "familles"}
SITE = sorted({name for name, _ in addresses() if rule_of(name) not in (None, Open.API)})


def path_of(name: str) -> str:
    for arguments in ({}, *({key: SAMPLES.get(key, "2025-03") for key in keys} for keys in KEYS)):
        with contextlib.suppress(NoReverseMatch):
            return reverse(name, kwargs=arguments)
    raise AssertionError(f"no sample argument for {name}")


KEYS = (
    ("pk",),
    ("number",),
    ("label",),
    ("reference",),
    ("token",),
    ("kind",),
    ("provider_id",),
    ("table",),
    ("name",),
    ("token", "name"),
    ("token", "kind"),
    ("table", "number"),
    ("code",),
    ("name", "kind"),
    ("kind", "number"),
    ("uidb36", "key"),
)


@pytest.fixture
def everybody(groups, federations) -> dict[str, User | None]:
    people = {str(role): person(role, group=groups[0], federation=federations[0]) for role in Role}
    return {"nobody": None, **people}


def test_every_address_has_a_rule_or_answers_nobody(db):
    named = {name for name, _ in addresses()}
    assert not (set(RULES) - named), "rules of addresses that are gone"
    assert set(READ_AND_TOLD) <= set(RULES)
    unruled = sorted(name for name in named if rule_of(name) is None)
    assert all(name == "" or name.startswith(("account_", "socialaccount_")) for name in unruled), unruled
    for name in ("account_signup", "account_email"):
        assert Client().get(reverse(name)).status_code == 403


@pytest.mark.parametrize("name", SITE)
def test_each_page_answers_the_roles_of_its_rule_and_no_other(everybody, name):
    rule, path = rule_of(name), path_of(name)
    for role, user in everybody.items():
        answer = browsing(user).get(path)
        status, location = answer.status_code, answer.headers.get("Location", "")
        if rule is Open.PUBLIC:
            assert status != 403, (role, status)
        elif user is None:
            assert status == 302 and location.startswith("/compte/login/"), (role, status, location)
        elif isinstance(rule, Action):
            assert (status == 403) == (role not in ALLOWED[rule]), (role, status)
        else:
            assert status != 403, (role, status)


@pytest.mark.parametrize("name", sorted(name for name, rule in RULES.items() if rule is not Open.PUBLIC and rule is not Open.ACCOUNT))
def test_without_a_second_factor_nothing_opens(db, groups, federations, name):
    for role in Role:
        house = house_of(role, groups[0], federations[0]) | ({"whole_group": True} if role in OF_MEMBERS else {})
        user = User.objects.create_user(f"{role}@test.fr", "x", role=role, **house)
        answer = browsing(user).get(path_of(name))
        assert (answer.status_code, answer.headers["Location"]) == (302, "/compte/2fa/")


def test_every_operation_of_the_api_is_in_the_table():
    found = {(method.upper(), re.sub(r"^/api/v1", "", path)) for path, item in api.get_openapi_schema()["paths"].items() for method in item}
    assert found == set(API_RULES)


@pytest.mark.parametrize("operation", sorted(API_RULES), ids=" ".join)
def test_each_operation_answers_its_callers_and_no_other(everybody, groups, operation):
    method, path = operation
    address = "/api/v1" + path.replace("{number}", "1").replace("{name}", "x").replace("{version}", "1")
    token = issue_sender_key(group=groups[0], label="test", by="test")
    rule = API_RULES[operation]
    for role, user in everybody.items():
        allowed = rule is Caller.ANYONE or (rule is Caller.SENDER_OR_MARKET and user is not None and user.role in ALLOWED[Action.SEE_MARKET])
        status = browsing(user).generic(method, address).status_code
        assert (status != 401) == allowed, (role, status)
    party = bearer(institution("ARS"))["HTTP_AUTHORIZATION"]
    for given, callers in ((f"Bearer {token}", (Caller.SENDER, Caller.SENDER_OR_MARKET)), (party, (Caller.PARTY,))):
        status = Client(SERVER_NAME="localhost").generic(method, address, headers={"Authorization": given}).status_code
        assert (status != 401) == (rule is Caller.ANYONE or rule in callers) or path == "/oauth/token", (given[:11], status)
    assert (Client(SERVER_NAME="localhost").generic(method, address, headers={"Authorization": "Bearer bvd_faux"}).status_code == 401) == (
        rule is not Caller.ANYONE
    )


def test_refusals_are_told_to_the_journal(everybody):
    browsing(everybody["operator"]).get("/marche/")
    last = Entry.objects.order_by("-id").first()
    assert (last.actor, last.action, last.subject) == (everybody["operator"].actor, "acces.refuse", "federation:market")
