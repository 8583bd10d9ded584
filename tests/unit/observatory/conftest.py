"""A group that may send, and another that may not see it."""

import datetime as dt

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from django.core import mail
from django.core.cache import cache

from belvedere.observatory.exchange import credentials
from belvedere.observatory.keyfiles import keys_dir, pem, write_secret
from belvedere.observatory.members.models import Bearing, Federation, Fee
from tests.exchange import establishment
from tests.flows import sector
from tests.front import Authority
from tests.members import enrolled


@pytest.fixture
def federations(db):
    return [Federation.objects.create(name=name) for name in ("FédéPSAD", "UNPDM", "UPSADI")]


@pytest.fixture
def groups(federations, data_folder):
    """The sector's groups and their members."""
    return enrolled(sector(), federations[:1])


@pytest.fixture
def outbox(db, data_folder, federations):
    cache.clear()
    Fee.objects.update_or_create(valid_from="2020-10-01", defaults={"amount": 194200, "vat": 2000, "days": 30})
    for federation in federations:
        Bearing.objects.create(federation=federation, valid_from=dt.date(2020, 10, 1))
    return mail.outbox


@pytest.fixture
def authority(tmp_path, monkeypatch):
    monkeypatch.setenv("BELVEDERE_CLIENT_CERT_HEADER", "ClientCert")
    made = Authority(tmp_path)
    (keys_dir() / credentials.AUTHORITIES).write_bytes(made.path.read_bytes())
    yield made
    (keys_dir() / credentials.AUTHORITIES).unlink()


@pytest.fixture(autouse=True)
def signing_key():
    """What `belvedere serve` makes at its first start, and portable packages are signed with."""
    if not (keys_dir() / "receipts.key").exists():
        write_secret(keys_dir() / "receipts.key", pem(ed25519.Ed25519PrivateKey.generate()))
    (keys_dir() / "receipts.key").chmod(0o600)  # a test of strict modes opens it to others


@pytest.fixture
def service():
    """An establishment of the exchange hub, admitted."""
    return establishment()
