"""Pro Santé Connect, and tokens bound to certificates: what opens, and each way not to."""

import base64
import datetime as dt
import hashlib
import json
import subprocess
import sys
from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import jwt
import pytest
import requests
from django.core.wsgi import get_wsgi_application
from django.test import Client
from django.utils import timezone

from belvedere.engine.exchange import credentials as engine
from belvedere.observatory.exchange import chores, credentials, keys, prosante
from belvedere.observatory.exchange.models import Deposit
from belvedere.observatory.exchange.prosante_simulator import BANNER, Provider, professionals
from belvedere.observatory.journal.models import Entry
from belvedere.observatory.loopback import listening
from tests.exchange import SSIAD, deposit, establishment
from tests.front import Authority, front

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.enable_socket]
READ = {"HTTP_X_FINALITE": "ACCOMPAGNEMENT"}
TOKEN = "/api/v1/exchange/token"


@pytest.fixture
def provider(monkeypatch):
    made = Provider(professionals([SSIAD]))
    with listening(made.application) as base:
        monkeypatch.setenv("BELVEDERE_PSC_URL", base)
        monkeypatch.setenv("BELVEDERE_PSC_CLIENTS", "dui")
        prosante._described.clear(), prosante._away.clear()
        made.base = base
        yield made


def connected(base: str, number: str) -> str:
    """The access token of a professional who went through the provider's page: code, PKCE, one use."""
    verifier = "v" * 48
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    asked = {
        "response_type": "code",
        "client_id": "dui",
        "redirect_uri": "http://127.0.0.1:9/retour",
        "scope": "openid scope_all",
        "acr_values": "eidas1",
        "state": "s",
        "code_challenge": challenge,
    }
    page = requests.get(f"{base}/authorize", params=asked, timeout=5)
    assert BANNER in page.text
    chosen = requests.post(f"{base}/authorize", data=asked | {"person": number}, allow_redirects=False, timeout=5)
    code = parse_qs(urlsplit(chosen.headers["Location"]).query)["code"][0]
    given = {"grant_type": "authorization_code", "code": code, "redirect_uri": asked["redirect_uri"], "code_verifier": verifier}
    assert requests.post(f"{base}/token", data=given | {"code_verifier": "autre"}, timeout=5).status_code == 400
    assert requests.post(f"{base}/token", data=given, timeout=5).status_code == 400, "a code is used once, even by who got it wrong"
    chosen = requests.post(f"{base}/authorize", data=asked | {"person": number}, allow_redirects=False, timeout=5)
    given["code"] = parse_qs(urlsplit(chosen.headers["Location"]).query)["code"][0]
    answer = requests.post(f"{base}/token", data=given, timeout=5).json()
    assert answer["expires_in"] == 120
    return answer["access_token"]


def ask(token: str, headers: dict, **more: str):
    form = {"grant_type": engine.GRANT, "subject_token": token, "subject_token_type": engine.ACCESS_TYPE} | more
    return Client().post(TOKEN, form, **headers)


def test_a_structure_and_its_professional_over_tls(authority, provider):
    """A real handshake: the certificate opens deposits at the structure's level, a person's token reads, and the journal says who."""
    establishment()
    pair = authority.issue("SSIAD d’essai", unit="1" + SSIAD)
    with front(get_wsgi_application(), authority) as url:
        with pytest.raises(requests.exceptions.RequestException):
            requests.get(f"{url}/fhir/Patient", verify=str(authority.path), timeout=5)  # no certificate, no handshake
        session = requests.Session()
        session.trust_env = False  # a bundle of the environment would stand before ours
        session.verify, session.cert = str(authority.path), str(pair.path)
        session.headers.update({"X-Finalite": "ACCOMPAGNEMENT", "Content-Type": "application/fhir+json", "Host": "localhost"})
        assert session.post(f"{url}/fhir", deposit(range(1)), timeout=20).status_code == 200
        assert Deposit.objects.get().party.finess == SSIAD
        person = professionals([SSIAD])[0]
        lps = {"lps_nom": "Soins+", "lps_id": "SP-1", "lps_version": "4.2", "exp": dt.datetime.now(dt.UTC) + dt.timedelta(minutes=1)}
        form = {
            "grant_type": engine.GRANT, "subject_token": connected(provider.base, person.number), "subject_token_type": engine.ACCESS_TYPE,
            "actor_token": jwt.encode(lps, pair.key, algorithm="ES256"), "actor_token_type": engine.JWT_TYPE,
        }  # fmt: skip
        answer = session.post(f"{url}{TOKEN}", data=form, headers={"Content-Type": "application/x-www-form-urlencoded"}, timeout=10)
        assert answer.status_code == 200, answer.text
        made = answer.json()
        assert (made["token_type"], made["expires_in"]) == ("Bearer", 3600)
        claims = jwt.decode(made["access_token"], options={"verify_signature": False})
        assert claims["cnf"] == {"x5t#S256": engine.thumbprint(pair.certificate)} and person.number not in json.dumps(claims)
        read = session.get(f"{url}/fhir/Patient", headers={"Authorization": f"Bearer {made['access_token']}"}, timeout=10)
        assert read.status_code == 200 and len(read.json()["entry"]) == 1
    entry = Entry.objects.filter(action="echange.lecture").last()
    assert (entry.detail["level"], entry.detail["person"]) == (3, claims["sub"])
    assert person.number not in json.dumps(list(Entry.objects.values("detail", "subject")))


def test_a_bound_token_is_nothing_without_its_certificate(authority, provider):
    establishment()
    pair, other = authority.issue("SSIAD", unit="1" + SSIAD), authority.issue("SSIAD bis", unit="1" + SSIAD)
    token = ask(connected(provider.base, professionals()[0].number), pair.header).json()["access_token"]
    asked = {"HTTP_AUTHORIZATION": f"Bearer {token}"} | READ
    assert Client().get("/fhir/Patient", **asked, **pair.header).status_code == 200
    assert Client().get("/fhir/Patient", **asked, **other.header).status_code == 401
    assert Client().get("/fhir/Patient", **asked).status_code == 401
    assert Client().get("/fhir/Patient", **(asked | {"HTTP_AUTHORIZATION": f"Bearer {token[:-4]}AAAA"}), **pair.header).status_code == 401


def test_a_token_lives_an_hour_and_its_key_may_change_meanwhile(authority, provider, monkeypatch):
    establishment()
    pair = authority.issue("SSIAD", unit="1" + SSIAD)
    token = ask(connected(provider.base, professionals()[0].number), pair.header).json()["access_token"]
    first = max(credentials._keys())
    assert credentials.new_signing_key() == first + 1
    assert credentials.opened(token, pair.certificate), "what was given before the change still opens"
    assert credentials.forget_signing_keys(timezone.now()) == 0
    after = timezone.now() + dt.timedelta(hours=2)
    assert credentials.forget_signing_keys(after) and set(credentials._keys()) == {first + 1}
    assert credentials.opened(token, pair.certificate) is None
    fresh = ask(connected(provider.base, professionals()[0].number), pair.header).json()["access_token"]
    held = jwt.api_jwt.datetime

    class Later(held):
        @classmethod
        def now(cls, tz=None):
            return held.now(tz) + dt.timedelta(seconds=3601)

    assert credentials.opened(fresh, pair.certificate)
    monkeypatch.setattr(jwt.api_jwt, "datetime", Later)
    assert credentials.opened(fresh, pair.certificate) is None


@pytest.mark.parametrize(
    ("what", "status", "error"),
    [
        ("no certificate", 401, "invalid_client"), ("a stranger's certificate", 401, "invalid_client"), ("an unknown structure", 401, "invalid_client"),
        ("an expired certificate", 401, "invalid_client"), ("a server's certificate", 401, "invalid_client"), ("a token of another application", 400, "invalid_grant"), ("a header that is no certificate", 401, "invalid_client"), ("another grant", 400, "unsupported_grant_type"),
        ("no subject", 400, "invalid_request"), ("an id token type", 400, "invalid_request"), ("a forged token", 400, "invalid_grant"),
        ("an expired token", 400, "invalid_grant"), ("a lower level", 400, "invalid_grant"), ("somebody who works elsewhere", 400, "invalid_grant"),
        ("somebody who works nowhere", 400, "invalid_grant"), ("places that are null", 400, "invalid_grant"), ("an id token", 400, "invalid_grant"),
        ("no application admitted", 400, "invalid_grant"), ("an actor token of another key", 400, "invalid_request"), ("no text at all", 400, "invalid_grant"), ("a provider that is down", 503, "temporarily_unavailable"),
    ],
)  # fmt: skip
def test_every_way_not_to_get_a_token(authority, provider, tmp_path, monkeypatch, what, status, error):
    establishment()
    pair = authority.issue("SSIAD", unit="1" + SSIAD)
    headers, person, more = pair.header, provider.people[0], {}
    if what == "a lower level":
        provider.acr = "eidas0"
    token = provider.token(provider.base, person, "dui")
    if what == "no certificate":
        headers = {}
    elif what == "a stranger's certificate":
        folder = tmp_path / "autre"
        folder.mkdir()
        headers = Authority(folder, name="Autre AC").issue("SSIAD", unit="1" + SSIAD).header
    elif what == "an unknown structure":
        headers = authority.issue("Inconnu", unit="1690000028").header
    elif what == "an expired certificate":
        headers = authority.issue("SSIAD", unit="1" + SSIAD, days=-1).header
    elif what == "a server's certificate":
        headers = authority.issue("SSIAD", unit="1" + SSIAD, server_only=True).header
    elif what == "a token of another application":
        monkeypatch.setenv("BELVEDERE_PSC_CLIENTS", "autre-dui, encore-un")
    elif what == "a header that is no certificate":
        headers = {"HTTP_CLIENTCERT": ":bm9u:"}
    elif what == "another grant":
        more = {"grant_type": "client_credentials"}
    elif what == "no subject":
        more = {"subject_token": ""}
    elif what == "an id token type":
        more = {"subject_token_type": "urn:ietf:params:oauth:token-type:id_token"}
    elif what == "a forged token":
        token = Provider(provider.people).token(provider.base, person, "dui")
    elif what == "an expired token":
        import time

        provider.clock = lambda: time.time() - 300
        token = provider.token(provider.base, person, "dui")
    elif what == "somebody who works elsewhere":
        token = provider.token(provider.base, provider.people[3], "dui")
    elif what == "somebody who works nowhere":
        token = provider.token(provider.base, replace(person, places=()), "dui")
        provider.people[0] = replace(person, places=())
    elif what == "places that are null":
        monkeypatch.setattr(
            type(person),
            "told",
            lambda self: {"sub": f"f:simulateur:{self.number}", "SubjectNameID": self.number, "SubjectRefPro": {"exercices": None}},
        )
    elif what == "an id token":
        token = provider.token(provider.base, person, "dui", kind="ID")
    elif what == "no application admitted":
        monkeypatch.setenv("BELVEDERE_PSC_CLIENTS", "")
    elif what == "an actor token of another key":
        lps = {"lps_nom": "X", "exp": dt.datetime.now(dt.UTC) + dt.timedelta(minutes=1)}
        more = {"actor_token": jwt.encode(lps, authority.issue("x").key, algorithm="ES256")}
    elif what == "no text at all":
        token = "n’importe quoi"
    elif what == "a provider that is down":
        monkeypatch.setenv("BELVEDERE_PSC_URL", "http://127.0.0.1:9")
    answer = ask(token, headers, **more)
    assert (answer.status_code, answer.json()["error"]) == (status, error), answer.content
    assert answer.json()["error_description"].endswith(".") and "no-store" in answer["Cache-Control"]
    assert not Entry.objects.filter(action="echange.jeton.echange").exists()


def test_the_provider_is_asked_again_once_a_minute_and_left_alone_when_it_is_away(authority, provider, monkeypatch):
    establishment()
    pair, calls, real = authority.issue("SSIAD", unit="1" + SSIAD), [], requests.get

    def get(url, **given):
        calls.append(url)
        return real(url, **given)

    monkeypatch.setattr(prosante.requests, "get", get)
    forged = Provider(provider.people).token(provider.base, provider.people[0], "dui")
    for _ in range(5):
        assert ask(forged, pair.header).status_code == 400
    assert len(calls) == 2, "the description and the keys, once, whatever keys are named"
    calls.clear()
    monkeypatch.setenv("BELVEDERE_PSC_URL", "http://127.0.0.1:9")
    assert [ask(forged, pair.header).status_code for _ in range(4)] == [503] * 4 and len(calls) == 1


def test_a_revoked_certificate_opens_nothing_nor_what_is_bound_to_it(authority, provider):
    party = establishment()
    pair = authority.issue("SSIAD", unit="1" + SSIAD)
    bound = {"HTTP_AUTHORIZATION": "Bearer " + keys.issue(party=party, label="lié", by="test", thumbprint=engine.thumbprint(pair.certificate))}
    person = {"HTTP_AUTHORIZATION": "Bearer " + ask(provider.token(provider.base, provider.people[0], "dui"), pair.header).json()["access_token"]}
    for headers in ({}, bound, person):
        assert Client().get("/fhir/Patient", **headers, **pair.header, **READ).status_code == 200
    credentials.let_go(party=party, raw=pair.path.read_bytes(), by="test")
    for headers in ({}, bound, person):
        assert Client().get("/fhir/Patient", **headers, **pair.header, **READ).status_code == 401
    with pytest.raises(engine.CredentialRefused, match="révoqué"):
        credentials.hold(party=party, raw=pair.path.read_bytes(), by="test")
    assert Entry.objects.filter(action="echange.certificat.revoque").count() == 1


def test_every_act_of_a_professional_is_imputed_to_it(authority, provider):
    """Whatever the call does, its entries say who was behind the machine, and how well it was known; the next call's say nothing of it."""
    party = establishment()
    pair = authority.issue("SSIAD", unit="1" + SSIAD)
    token = ask(provider.token(provider.base, provider.people[0], "dui"), pair.header).json()["access_token"]
    asked = {"HTTP_AUTHORIZATION": f"Bearer {token}"} | pair.header
    first = Entry.objects.latest("pk").pk
    assert Client().post("/fhir", deposit(range(1)), content_type="application/fhir+json", **asked).status_code == 200
    assert Client().post("/api/v1/exchange/exports", {"kind": "massif"}, content_type="application/json", **asked).status_code == 202
    assert Client().post("/api/v1/exchange/moves", {"software": "Nouveau"}, content_type="application/json", **asked).status_code == 201
    entries = Entry.objects.filter(pk__gt=first, action__startswith="echange.")
    assert entries.count() > 3 and all(entry.detail["level"] == 3 and len(entry.detail["person"]) == 32 for entry in entries)
    keys.issue(party=party, label="à la main", by="test")
    assert "person" not in Entry.objects.latest("pk").detail


def test_a_refused_exchange_of_token_is_told(authority, provider):
    establishment()
    pair = authority.issue("SSIAD", unit="1" + SSIAD)
    assert ask("n’importe quoi", pair.header).status_code == 400
    assert Entry.objects.get(action="echange.jeton.refuse").detail["error"] == "invalid_grant"


def test_keys_whose_last_tokens_ran_out_are_forgotten_each_day(authority, monkeypatch):
    first = max(credentials._keys(), default=0) or credentials.new_signing_key()
    assert credentials.new_signing_key() == first + 1
    later = timezone.now() + dt.timedelta(hours=2)
    monkeypatch.setattr(chores.timezone, "now", lambda: later)
    chores.daily()
    assert set(credentials._keys()) == {first + 1}


def test_the_simulator_starts_by_itself():
    """The command in a process of its own, without a database: what its page and its description say."""
    from tests.surroundings import free_ports

    (port,) = free_ports(1)
    process = subprocess.Popen(
        [sys.executable, "-m", "belvedere", "exchange", "psc", "--port", str(port), "--place", SSIAD], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None and BANNER in process.stdout.readline()
        told = requests.get(f"http://127.0.0.1:{port}/.well-known/openid-configuration", timeout=5).json()
        assert told["simulateur"] == BANNER and told["acr_values_supported"] == ["eidas1"]
        assert requests.get(f"http://127.0.0.1:{port}/authorize?response_type=code&redirect_uri=https://ailleurs.fr", timeout=5).status_code == 400
    finally:
        process.terminate()
        assert process.wait(10) == 0
