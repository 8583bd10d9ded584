"""Keys: strict modes, a test authority whose certificates open what is sealed for them, rotation."""

import contextlib
import datetime as dt
import stat
import threading

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from belvedere.engine.b2.envelope import Holder, open_envelope, seal
from belvedere.engine.b2.unwrap import Clear
from belvedere.engine.privacy.pseudonyms import KeyFileError
from belvedere.observatory import keyfiles
from belvedere.observatory.collect import keyring
from tests.flows import a_file


def test_every_key_file_is_its_owners_alone(data_folder):
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (data_folder / "keys").iterdir() if path.suffix != ".crt"}
    assert set(modes) >= {"pseudonyms.json", "reception.key", "receipts.key"}
    assert set(modes.values()) == {0o600}
    (data_folder / "keys" / "receipts.key").chmod(0o644)
    with pytest.raises(KeyFileError):
        keyfiles.strict(data_folder / "keys" / "receipts.key")


def test_the_test_authority_signs_what_opens(tmp_path):
    keyring.create_test_authority(tmp_path / "ca")
    load = lambda name: x509.load_pem_x509_certificate((tmp_path / "ca" / name).read_bytes())  # noqa: E731
    for name in ("reception.crt", "editeur.crt"):
        load(name).verify_directly_issued_by(load("autorite-test.crt"))
        assert "TEST" in load(name).subject.rfc4514_string()
    key = serialization.load_pem_private_key(keyfiles.strict(tmp_path / "ca" / "reception.key"), None)
    envelope = open_envelope(seal(a_file(), load("reception.crt")), [Holder(load("reception.crt"), key)], dt.datetime.now(dt.UTC))
    assert b"".join(Clear(envelope).chunks()) == a_file()


def test_after_a_rotation_both_certificates_open(data_folder):
    before = keyring.certificate()
    for name in ("reception.crt", "reception.key"):
        (data_folder / "keys" / name).rename(data_folder / "keys" / name.replace("reception", "reception-1"))
    keyring.create_keys()
    assert keyring.certificate() != before
    for certificate in (before, keyring.certificate()):
        envelope = open_envelope(seal(b"000", certificate), keyring.reception(), dt.datetime.now(dt.UTC))
        assert b"".join(Clear(envelope).chunks()) == b"000"


def test_a_key_that_several_make_at_once_is_seen_whole_by_all(tmp_path):
    """Whoever comes second finds the first one's key, never the beginning of it."""
    path, seen, gate = tmp_path / "x.key", [], threading.Barrier(8)

    def make(rank: int) -> None:
        gate.wait()
        with contextlib.suppress(FileExistsError):
            keyfiles.write_secret(path, bytes([rank]) * 64)
        seen.append(keyfiles.strict(path))

    threads = [threading.Thread(target=make, args=(rank,)) for rank in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 8 and len(set(seen)) == 1 and len(seen[0]) == 64
    assert [one.name for one in tmp_path.iterdir()] == ["x.key"], "no draft is left"


def test_a_process_given_some_keys_draws_none_in_place_of_the_others(tmp_path, monkeypatch):
    """The portal has neither the pseudonyms nor what opens flows: the certificate that it shows stays the one that workers can open."""
    monkeypatch.setenv("BELVEDERE_KEYS", str(tmp_path / "quelques"))
    (tmp_path / "quelques").mkdir(mode=0o700)
    (tmp_path / "quelques" / "reception.crt").write_bytes(b"le certificat")
    keyring.create_keys(new=False)
    keyring.create_keys()
    held = {path.name for path in (tmp_path / "quelques").iterdir()}
    assert (tmp_path / "quelques" / "reception.crt").read_bytes() == b"le certificat" and "reception.key" not in held
    monkeypatch.setenv("BELVEDERE_KEYS", str(tmp_path / "rien"))
    keyring.create_keys(new=False)
    assert {path.name for path in (tmp_path / "rien").iterdir()} == {"receipts.key"}
