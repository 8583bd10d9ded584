"""The hub's keys changed under load: everything still opens, the old key no longer opens anything, then it is gone."""

import json
import os
import time
from dataclasses import replace

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric import ed25519
from django.test import Client

from belvedere.engine.privacy.pseudonyms import KeyFileError
from belvedere.observatory.exchange import intake, portability, rotating, subscribing, vault
from belvedere.observatory.exchange.models import Export, Resource, Subscription
from belvedere.observatory.journal.models import Entry
from belvedere.observatory.keyfiles import keys_dir, pem, write_secret
from tests.exchange import bearer, deposit, establishment, institution

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def ring(monkeypatch, tmp_path):
    """A data folder of its own: keys are destroyed here."""
    monkeypatch.setenv("BELVEDERE_DATA", str(tmp_path))
    write_secret(keys_dir() / "receipts.key", pem(ed25519.Ed25519PrivateKey.generate()))
    yield keys_dir()
    vault._folders.pop(str(tmp_path), None)


def test_a_rotation_from_end_to_end(ring, monkeypatch):
    monkeypatch.setenv("BELVEDERE_WEBHOOK_PRIVATE", "1")
    service, cnsa = establishment(), institution("CNSA_SIDOBA")
    assert intake.receive(service, deposit(range(2))).status == 200
    portability.ask(party=service, kind="massif", persons=[], by="test")
    portability.run_due()
    _, secret = subscribing.subscribe(party=cnsa, topic="sejour-ouvert", purpose="FINANCEMENT", endpoint="http://127.0.0.1:9/x", filters={}, level=2)
    person = vault.token("usager", "x")
    before = {row.pk: intake.content_of(row) for row in Resource.objects.all()}
    old = vault._held()[0][0]

    assert rotating.begin(by="test") == 1
    assert intake.receive(service, deposit(range(2, 3), name="pendant")).status == 200, "deposits go on"
    done = dict(rotating.seal_anew())
    assert sum(done.values()) == len(before) + 1 + 1 + 1, (
        "resources, original, export, secret; the deposit made meanwhile was already under the new key"
    )
    assert sum(dict(rotating.seal_anew()).values()) == 0
    for row in Resource.objects.filter(pk__in=before):
        assert intake.content_of(row) == before[row.pk]
        with pytest.raises(InvalidTag):
            old.decrypt(bytes(row.content)[:12], bytes(row.content)[12:], row.uid.encode())
    assert vault.token("usager", "x") == person, "persons keep their tokens"

    with pytest.raises(rotating.RotationRefused, match="attendez"):
        rotating.finish(now=time.time(), by="test")
    assert rotating.finish(now=time.time() + 4000, by="test") == 1
    assert len(vault._held()[0]) == 2 and (ring / vault.FIRST).stat().st_mode & 0o077 == 0
    assert vault.token("usager", "x") == person
    assert portability.package(Export.objects.get()) and subscribing.secrets_of(Subscription.objects.get()) == [secret]
    answer = Client().get("/fhir/Patient", HTTP_X_FINALITE="FINANCEMENT", **bearer(cnsa))
    assert len(answer.json()["entry"]) == 3
    assert [row.action for row in Entry.objects.filter(subject="cles").order_by("pk")] == ["echange.cle.nouvelle", "echange.cle.detruite"]
    assert not any(
        name in json.dumps(row.detail) for row in Entry.objects.filter(subject="cles") for name in os.listdir(ring) if name.endswith(".key")
    )


def test_a_rotation_that_is_stopped_goes_on(ring, monkeypatch):
    service = establishment()
    assert intake.receive(service, deposit(range(2))).status == 200
    monkeypatch.setattr(rotating, "SEALED", tuple(replace(sealed, lot=3) for sealed in rotating.SEALED))
    rotating.begin(by="test")
    steps = rotating.seal_anew()
    next(steps)
    steps.close()  # killed after one lot
    rest = sum(dict(rotating.seal_anew()).values())
    assert rest == Resource.objects.count() + 1 - 3


def test_another_process_changes_the_keys_within_the_same_tick(ring):
    """The folder's date is the same before and after: names and the first file tell the difference."""
    old, stamp = vault.seal(b"x"), os.stat(ring)
    other = os.urandom(2 * vault.KEY)
    (ring / vault.FIRST).unlink()
    write_secret(ring / vault.FIRST, other)
    os.utime(ring, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    with pytest.raises(InvalidTag):
        vault.unseal(old)


def test_one_content_that_no_longer_opens_stops_neither_the_others_nor_is_forgotten(ring):
    service = establishment()
    assert intake.receive(service, deposit(range(2))).status == 200
    broken = Resource.objects.order_by("pk").first()
    Resource.objects.filter(pk=broken.pk).update(content=bytes(broken.content)[:-1] + bytes([bytes(broken.content)[-1] ^ 1]))
    rotating.begin(by="test")
    lost: list[str] = []
    assert sum(dict(rotating.seal_anew(lost)).values()) == Resource.objects.count() and lost == [f"exchange.Resource:{broken.pk}"]
    with pytest.raises(rotating.RotationRefused, match="restaurez"):
        rotating.finish(now=time.time() + 4000, by="test")


def test_a_rotation_is_finished_once(ring):
    vault.seal(b"x")
    rotating.begin(by="test")
    assert rotating.finish(now=time.time() + 4000, by="test") == 1
    with pytest.raises(rotating.RotationRefused, match="déjà terminé"):
        rotating.finish(now=time.time() + 8000, by="test")


def test_the_first_key_is_not_made_again_beside_later_ones(ring):
    vault.seal(b"x")
    rotating.begin(by="test")
    (ring / vault.FIRST).unlink()
    with pytest.raises(KeyFileError, match="sauvegarde"):
        vault.token("usager", "x")


def test_nothing_to_finish(ring):
    with pytest.raises(rotating.RotationRefused, match="Aucune clé"):
        rotating.finish(now=time.time(), by="test")
