"""Signing in: no enumeration, lock-out, second factor, recovery codes, sessions, an identity provider, the journal of it all."""

import re
import threading
import warnings

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from django.core.cache import cache
from django.test import Client

from belvedere.observatory.accounts import factors, people
from belvedere.observatory.accounts.models import Role, User
from belvedere.observatory.journal.models import Entry
from tests.people import browsing

PASSWORD = "quatre mots à retenir"


@pytest.fixture
def operator(db, data_folder):
    cache.clear()
    user = people.open_account(email="op@test.fr", role=Role.OPERATOR, by="test", password=PASSWORD)
    factors.give(user, SECRET)
    return user


SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"


def sign_in(client: Client, email="op@test.fr", password=PASSWORD):
    return client.post("/compte/login/", {"login": email, "password": password})


def test_the_password_opens_nothing_without_the_second_factor(operator):
    client = Client()
    assert sign_in(client).headers["Location"].startswith("/compte/2fa/authenticate/")
    assert client.get("/exploitation/").headers["Location"].startswith("/compte/login/")
    assert client.post("/compte/2fa/authenticate/", {"code": "000000"}).status_code == 200
    assert client.get("/exploitation/").status_code == 302
    code = factors.code(SECRET)
    assert client.post("/compte/2fa/authenticate/", {"code": code}).status_code == 302
    assert client.get("/exploitation/").status_code == 200
    again = Client()
    sign_in(again)
    assert again.post("/compte/2fa/authenticate/", {"code": code}).status_code == 200, "a code is good once"
    code = RecoveryCodes(Authenticator.objects.get(user=operator, type="recovery_codes")).get_unused_codes()[0]
    assert again.post("/compte/2fa/authenticate/", {"code": code}).status_code == 302
    assert again.get("/exploitation/").status_code == 200
    told = set(Entry.objects.filter(subject=operator.actor).values_list("action", flat=True))
    assert {"compte.entre", "personne.ouverte"} <= told


def test_an_account_that_does_not_exist_is_refused_in_the_same_words(operator):
    pages = []
    for email in ("op@test.fr", "nobody@test.fr"):
        cache.clear()
        answer = sign_in(Client(), email, "un faux mot de passe")
        pages.append(
            (
                answer.status_code,
                answer.content.decode().replace(email, "X").split("csrfmiddlewaretoken")[0],
                "Se connecter" in answer.content.decode(),
            )
        )
        reset = Client().post("/compte/password/reset/", {"email": email})
        pages[-1] += (reset.status_code, reset.headers["Location"])
    assert pages[0] == pages[1]
    assert Entry.objects.filter(action="compte.refuse").count() == 2
    assert "nobody" not in str(list(Entry.objects.values()))


def test_an_account_is_locked_out_after_five_failures(operator):
    for _ in range(5):
        sign_in(Client(), password="un faux mot de passe")
    answer = sign_in(Client())
    assert "Location" not in answer.headers and "Trop" in answer.content.decode()


def test_secrets_of_second_factors_lie_encrypted(operator):
    stored = str(Authenticator.objects.get(user=operator, type="totp").data)
    assert SECRET not in stored and factors.unseal(Authenticator.objects.get(user=operator, type="totp").data["secret"]) == SECRET


def test_a_closed_account_enters_no_more_and_its_sessions_end(operator):
    other = people.open_account(email="b@test.fr", role=Role.OPERATOR, by="test", password=PASSWORD)
    factors.give(other, SECRET)
    client = browsing(other)
    assert client.get("/exploitation/").status_code == 200
    with pytest.raises(people.AccountRefused):
        people.close(user=other, by=other)
    people.close(user=other, by=operator)
    assert client.get("/exploitation/").status_code == 302
    assert "Location" not in sign_in(Client(), "b@test.fr").headers or "inactive" in sign_in(Client(), "b@test.fr").headers["Location"]


def test_sessions_and_devices_are_listed_and_ended(operator):
    from allauth.usersessions.models import UserSession

    first, second = browsing(operator), browsing(operator)
    for client in (first, second):
        client.get("/exploitation/", headers={"User-Agent": "Essai/1.0"})
    page = first.get("/compte/sessions/", headers={"User-Agent": "Essai/1.0"}).content.decode()
    assert page.count("Essai/1.0") == 2 and UserSession.objects.count() == 2
    first.post("/compte/sessions/")
    assert first.get("/exploitation/").status_code == 200 and second.get("/exploitation/").status_code == 302


def test_sessions_opened_before_the_first_factor_end_with_it(transactional_db, data_folder):
    cache.clear()
    newcomer = people.open_account(email="n@test.fr", role=Role.AUDITOR, by="test", password=PASSWORD)
    first, second = Client(), Client()
    for client in (first, second):
        assert sign_in(client, "n@test.fr").status_code == 302
        assert client.get("/journal/").headers["Location"] == "/compte/2fa/"
    first.post("/compte/reauthenticate/", {"password": PASSWORD})
    secret = re.search(r'value="([A-Z2-7]{32})"', first.get("/compte/2fa/totp/activate/").content.decode())[1]
    first.post("/compte/2fa/totp/activate/", {"code": factors.code(secret)})
    assert factors.has_second_factor(newcomer)
    assert first.get("/journal/").status_code == 200
    assert second.get("/journal/").headers["Location"].startswith("/compte/login/")


def test_addresses_are_one_account_whatever_their_case(operator):
    with pytest.raises(people.AccountRefused):
        people.open_account(email="OP@test.fr", role=Role.OPERATOR, by="test")
    assert User.objects.count() == 1


def test_headers_of_every_page_are_strict(operator):
    answer = browsing(operator).get("/exploitation/")
    assert "unsafe" not in answer.headers["Content-Security-Policy"] and "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert answer.headers["X-Frame-Options"] == "DENY" and answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "same-origin" and answer.headers["Cache-Control"] == "private, no-store"


@pytest.mark.parametrize("path", ["/adherer/", "/compte/login/", "/patients/opposition/patient/", "/exploitation/cotisation/", "/mon-groupe/"])
def test_no_form_goes_without_its_token(operator, path):
    client = Client(enforce_csrf_checks=True)
    client.force_login(operator, backend="allauth.account.auth_backends.AuthenticationBackend")
    assert client.post(path, {"x": "y"}).status_code == 403


@pytest.fixture
def provider():
    """A real OpenID Connect provider, run here."""
    with warnings.catch_warnings():  # what its own dependencies are told is not ours to mend
        warnings.simplefilter("ignore")
        import oidc_provider_mock
    from werkzeug.serving import make_server

    server = make_server("127.0.0.1", 0, oidc_provider_mock.app(), threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.port}"
    server.shutdown()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of the provider, in its own thread
def test_an_identity_provider_opens_a_linked_account_and_no_other(operator, provider, settings):
    import urllib.parse

    import requests

    settings.SOCIALACCOUNT_PROVIDERS = {"openid_connect": {"OAUTH_PKCE_ENABLED": True, "APPS": [{
        "provider_id": "sante", "name": "Pro Santé Connect", "client_id": "belvedere", "secret": "x" * 20,
        "settings": {"server_url": provider, "oauth_pkce_enabled": True, "scope": ["openid"]},
    }]}}  # fmt: skip

    def through(client: Client, process: str, who: str):
        gone = client.post(f"/compte/oidc/sante/login/?process={process}").headers["Location"]
        assert gone.startswith(provider) and "code_challenge_method=S256" in gone
        back = requests.post(gone, data={"sub": who}, allow_redirects=False, timeout=5).headers["Location"]
        parts = urllib.parse.urlparse(back)
        return client.get(f"{parts.path}?{parts.query}")

    stranger = through(Client(), "login", "899700000001")
    assert User.objects.count() == 1 and stranger.status_code in (200, 302)
    home = browsing(operator)
    session = home.session
    session["account_authentication_methods"] = [{"method": "password", "at": __import__("time").time(), "email": operator.email}]
    session.save()
    through(home, "connect", "899700000001")
    assert operator.socialaccount_set.get().uid == "899700000001"
    visitor = Client()
    assert through(visitor, "login", "899700000001").headers["Location"].startswith("/compte/2fa/authenticate/")
    assert through(Client(), "login", "899700000002").status_code in (200, 302)
    assert visitor.post("/compte/2fa/authenticate/", {"code": factors.code(SECRET)}).status_code == 302
    assert visitor.get("/exploitation/").status_code == 200
    assert Entry.objects.filter(action="compte.identite_liee").exists()
