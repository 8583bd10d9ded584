"""Envelopes: sealed and opened in a stream; every public defect has its own error, every secret one the same."""

import datetime as dt
import gzip
import subprocess
import zlib
from functools import cache

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.ciphers import algorithms
from cryptography.hazmat.primitives.serialization import pkcs7

from belvedere.engine.b2.envelope import Holder, open_envelope, seal, seal_stream
from belvedere.engine.b2.findings import B2Error
from belvedere.engine.b2.unwrap import Clear, gunzipped
from belvedere.observatory.keyfiles import issue, pem
from tests.flows import a_file

NOW = dt.datetime.now(dt.UTC)


@cache
def holder(name: str = "nous", days: int = 30, start: int = 0) -> Holder:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return Holder(issue(name, key, days=days, start=NOW - dt.timedelta(days=start, minutes=5)), key)


def opened(sealed: bytes, *holders: Holder, limit: int = 2**30) -> tuple[bytes, list[str]]:
    clear = Clear(open_envelope(sealed, holders or (holder(),), NOW), limit)
    content = b"".join(clear.chunks())
    return content, [item.code for item in clear.remarks]


def code_of(sealed: bytes, *holders: Holder, limit: int = 2**30) -> str:
    with pytest.raises(B2Error) as caught:
        opened(sealed, *holders, limit=limit)
    return caught.value.finding.code


def sealed_as(content: bytes, cipher=algorithms.AES256, to: Holder | None = None) -> bytes:
    builder = pkcs7.PKCS7EnvelopeBuilder().set_data(content).add_recipient((to or holder()).certificate).set_content_encryption_algorithm(cipher)
    return builder.encrypt(serialization.Encoding.DER, [pkcs7.PKCS7Options.Binary])


def test_sealed_at_once_and_in_a_stream():
    clear = a_file()
    assert opened(seal(clear, holder().certificate)) == (clear, [])
    pieces = list(seal_stream((clear[at : at + 1000] for at in range(0, len(clear), 1000)), holder().certificate))
    assert opened(b"".join(pieces)) == (clear, [])
    assert opened(b"".join(seal_stream([], holder().certificate))) == (b"", [])


@pytest.mark.parametrize("cipher", [algorithms.AES128, algorithms.AES256])
def test_both_ciphers(cipher):
    assert opened(sealed_as(gzip.compress(a_file()), cipher)) == (a_file(), [])


def _openssl(tmp_path, content: bytes, *options: str) -> bytes:
    (tmp_path / "c.pem").write_bytes(holder().certificate.public_bytes(serialization.Encoding.PEM))
    (tmp_path / "clear").write_bytes(content)
    command = ["openssl", "cms", "-encrypt", "-binary", "-outform", "DER", "-in", "clear", "-out", "sealed", *options, "c.pem"]
    try:
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False)
    except FileNotFoundError:
        pytest.skip("openssl is not installed here")
    assert done.returncode == 0, done.stderr
    return (tmp_path / "sealed").read_bytes()


@pytest.mark.parametrize(
    "options, remarks",
    [
        (["-aes128"], []),
        (["-aes-256-cbc", "-stream"], []),
        (["-aes256", "-recip", "c.pem", "-keyopt", "rsa_padding_mode:oaep", "-keyopt", "rsa_oaep_md:sha256"], []),
        (["-aes256", "-keyid"], []),
        (["-des3"], ["E711"]),
    ],
    ids=["aes128", "flux BER", "OAEP", "identifiant de clé", "3DES"],
)
def test_what_openssl_seals(tmp_path, options, remarks):
    packed = gzip.compress(a_file())
    if "-recip" in options:  # the recipient is named by the option itself
        (tmp_path / "c.pem").write_bytes(holder().certificate.public_bytes(serialization.Encoding.PEM))
    assert opened(_openssl(tmp_path, packed, *options)) == (a_file(), remarks)


def test_content_of_the_insurances_mail():
    body = gzip.compress(a_file())
    import base64

    head = b"Content-Type: application/EDI-consent\r\nContent-Transfer-Encoding: base64\r\nContent-Description: IRIS/B2/Z\r\n\r\n"
    mime = head + base64.encodebytes(body)
    assert opened(sealed_as(mime)) == (a_file(), [])
    clear = Clear(open_envelope(sealed_as(mime.replace(b"IRIS/", b"IRISTEST/")), (holder(),), NOW))
    assert b"".join(clear.chunks()) == a_file() and clear.test
    plain = head.replace(b"IRIS/B2/Z", b"IRIS/B2").replace(b"base64", b"binary") + a_file()
    assert opened(sealed_as(plain))[0] == a_file()
    assert opened(sealed_as(zlib.compress(a_file()))) == (a_file(), ["E712"])
    assert opened(sealed_as(gzip.compress(a_file()[:1280]) + gzip.compress(a_file()[1280:])))[0] == a_file()


def test_every_public_defect_has_its_own_error():
    sealed = seal(a_file(), holder().certificate)
    stranger = holder("autrui")
    assert code_of(a_file()) == "E703"
    assert code_of(b"") == "E703"
    assert code_of(b"\x30\x80" + b"\x00" * 40) == "E703"
    for cut in (3, 10, 200, 600, len(sealed) - 1):
        assert code_of(sealed[:cut]) == "E702", cut
    streamed = b"".join(seal_stream([a_file()], holder().certificate))
    assert code_of(streamed[:-40]) == "E702"
    assert code_of(sealed, stranger) == "E704"
    old = holder("ancienne", days=10, start=20)
    assert code_of(seal(a_file(), old.certificate), holder(), old) == "E706"
    assert opened(seal(a_file(), holder().certificate), old, holder())[0] == a_file()


def test_a_cipher_we_do_not_take(tmp_path):
    assert code_of(_openssl(tmp_path, b"x", "-camellia256")) == "E705"


def test_what_depends_on_the_secret_has_one_error():
    sealed = bytearray(seal(a_file(), holder().certificate))
    for at in (300, len(sealed) // 2, len(sealed) - 20, len(sealed) - 1):  # encrypted key, content, padding
        broken = bytearray(sealed)
        broken[at] ^= 0x55
        assert code_of(bytes(broken)) == "E701", at
    impostor = Holder(holder().certificate, rsa.generate_private_key(public_exponent=65537, key_size=2048))
    assert code_of(bytes(sealed), impostor) == "E701"
    assert code_of(sealed_as(gzip.compress(a_file())[:-30])) == "E701"
    assert code_of(sealed_as(b"\x07garbage that is nothing")) == "E701"


def test_an_uncompressed_file_cut_short_tells_no_more_than_a_wrong_key():
    from belvedere.engine.b2.findings import finding

    clear = Clear(open_envelope(sealed_as(a_file()[:-7]), (holder(),), NOW))
    b"".join(clear.chunks())
    assert [clear.told(finding(code, length=1, record=1)).code for code in ("F001", "F002", "F003")] == ["E701", "E701", "F003"]
    packed = Clear(open_envelope(seal(a_file()[:-7], holder().certificate), (holder(),), NOW))
    b"".join(packed.chunks())
    assert packed.told(finding("F001", length=1, record=1)).code == "F001"


def test_a_gzip_bomb_ends_at_the_limit():
    bomb = gzip.compress(bytes(64 * 1024 * 1024), compresslevel=9)
    assert len(bomb) < 100_000
    assert code_of(sealed_as(bomb), limit=1024 * 1024) == "P602"


def test_gunzipped_reads_both():
    assert b"".join(gunzipped(iter([gzip.compress(b"abc"), b""]))) == b"abc"
    assert b"".join(gunzipped(iter([b"abc"]))) == b"abc"


def test_private_keys_are_not_printed():
    assert "RSAPrivateKey" not in repr(holder()) and pem(holder().key)[:10] == b"-----BEGIN"
