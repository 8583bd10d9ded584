"""Certificates of structures: which are believed, what they open, tied by hand and let go."""

import os
import subprocess
import sys

import pytest
from django.test import Client
from django.utils import timezone

from belvedere.engine.exchange import credentials as engine
from belvedere.observatory.environment import SettingRefused
from belvedere.observatory.exchange import credentials, keys
from belvedere.observatory.exchange.models import PartyCertificate
from tests.exchange import SSIAD, bearer, establishment, institution
from tests.front import Authority

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.enable_socket]
READ = {"HTTP_X_FINALITE": "ACCOMPAGNEMENT"}


def test_a_header_counts_only_where_a_front_end_is_trusted(authority, monkeypatch):
    establishment()
    pair = authority.issue("SSIAD", unit="1" + SSIAD)
    assert Client().get("/fhir/Patient", **pair.header, **READ).status_code == 200
    monkeypatch.setenv("BELVEDERE_CLIENT_CERT_HEADER", "")
    assert Client().get("/fhir/Patient", **pair.header, **READ).status_code == 401


@pytest.mark.parametrize("name", ["Client-Cert", "Client_Cert", "X Cert", "Certificät"])
def test_a_header_that_another_would_pass_for_is_refused(authority, monkeypatch, name):
    """A server folds « _ » into « - »: a front end that empties the one lets the other in."""
    monkeypatch.setenv("BELVEDERE_CLIENT_CERT_HEADER", name)
    with pytest.raises(SettingRefused, match="BELVEDERE_CLIENT_CERT_HEADER"):
        credentials.certificate({"Client-Cert": authority.issue("SSIAD", unit="1" + SSIAD).header["HTTP_CLIENTCERT"]})
    told = subprocess.run(
        [sys.executable, "-m", "belvedere", "status"], capture_output=True, text=True, env=os.environ | {"BELVEDERE_CLIENT_CERT_HEADER": name}
    )
    assert told.returncode == 70 and "BELVEDERE_CLIENT_CERT_HEADER" in told.stderr and "Traceback" not in told.stderr


def test_an_authority_that_was_renewed_under_its_key(authority):
    """Two certificates of one authority, the first out of its dates: the second is tried too."""
    pair, now = authority.issue("SSIAD", unit="1" + SSIAD), timezone.now()
    old = authority._made(authority.subject, authority.key.public_key(), authority=True, days=-1)
    assert not engine.trusted(pair.certificate, [old], now)
    assert engine.trusted(pair.certificate, [old, authority.certificate], now)


def test_certificates_that_the_library_cannot_read():
    for content in (b"", b"-----BEGIN CERTIFICATE-----\nbm9u\n-----END CERTIFICATE-----\n"):
        with pytest.raises(engine.CredentialRefused, match="PEM"):
            engine.read_pem(content)


def test_an_institution_s_certificate_is_tied_by_hand_and_let_go(authority):
    cnsa, other = institution("CNSA_SIDOBA"), institution("DREES")
    pair = authority.issue("CNSA")
    asked = {"HTTP_X_FINALITE": "FINANCEMENT"}
    assert Client().get("/fhir/Patient", **pair.header, **asked).status_code == 401
    credentials.hold(party=cnsa, raw=pair.path.read_bytes(), by="test")
    assert Client().get("/fhir/Patient", **pair.header, **asked).status_code == 200
    with pytest.raises(engine.CredentialRefused, match="autre acteur"):
        credentials.hold(party=other, raw=pair.path.read_bytes(), by="test")
    PartyCertificate.objects.update(revoked_at=timezone.now())
    assert Client().get("/fhir/Patient", **pair.header, **asked).status_code == 401


def test_a_machine_s_token_may_be_bound_too(authority):
    party = establishment()
    pair, other = authority.issue("SSIAD", unit="1" + SSIAD), authority.issue("SSIAD", unit="1" + SSIAD)
    token = {"HTTP_AUTHORIZATION": "Bearer " + keys.issue(party=party, label="lié", by="test", thumbprint=engine.thumbprint(pair.certificate))}
    assert Client().get("/fhir/Patient", **token, **pair.header, **READ).status_code == 200
    assert Client().get("/fhir/Patient", **token, **other.header, **READ).status_code == 401
    assert Client().get("/fhir/Patient", **token, **READ).status_code == 401
    assert Client().get("/fhir/Patient", **bearer(party), **READ).status_code == 200


def test_a_certificate_that_names_a_house_is_nobody_else_s(authority):
    with pytest.raises(engine.CredentialRefused, match="non de cet acteur"):
        credentials.hold(party=institution("DREES"), raw=authority.issue("SSIAD", unit="1" + SSIAD).path.read_bytes(), by="test")


def test_the_operator_s_commands(authority, capsys, tmp_path, monkeypatch):
    import argparse

    from belvedere.cli import exchange

    monkeypatch.setattr(exchange, "_start", lambda options: None)
    parser = argparse.ArgumentParser()
    exchange.register(parser.add_subparsers())

    def run(*words: str) -> tuple[int, str]:
        options = parser.parse_args(["exchange", *words])
        code = options.run(options)
        out = capsys.readouterr()
        return code, out.out + out.err

    cnsa, pair = institution("CNSA_SIDOBA"), authority.issue("CNSA")
    code, told = run("certificate", cnsa.name, str(pair.path), "--token")
    token = next(word for word in told.split() if word.startswith("bvx_"))
    asked = {"HTTP_AUTHORIZATION": f"Bearer {token}", "HTTP_X_FINALITE": "FINANCEMENT"}
    assert code == 0 and Client().get("/fhir/Patient", **asked, **pair.header).status_code == 200
    assert Client().get("/fhir/Patient", **asked).status_code == 401
    code, told = run("certificate", cnsa.name, str(pair.path), "--revoke")
    assert code == 0 and "révoqué" in told and Client().get("/fhir/Patient", **asked, **pair.header).status_code == 401
    stranger = tmp_path / "autre"
    stranger.mkdir()
    assert run("certificate", cnsa.name, str(Authority(stranger, name="Autre").issue("X").path))[0] == 2
    assert run("certificate", "Personne", str(pair.path))[0] == 2
    assert run("psc", "--place", "750000001")[0] == 2
    assert run("rotate", "--finish")[0] == 2
