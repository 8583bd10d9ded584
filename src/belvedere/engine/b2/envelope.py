"""Transport encryption: CMS enveloped-data, as flows travel to the health insurance (norm reference §12).

Sealing and opening work in a stream, so that a file of any size passes in flat memory. Reading follows the
few levels of an enveloped-data by hand, because no library reads CMS in a stream; its small parts (recipients,
algorithm) are parsed by asn1crypto and everything is decrypted by cryptography.

What can be told from public bytes has its own error (truncated, foreign recipient, cipher). Whatever depends on
the secret gives one error, E701, so that the reception is no decryption oracle.
"""

import datetime as dt
import gzip
import os
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from asn1crypto import cms, core
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives import hashes, padding, serialization
from cryptography.hazmat.primitives.asymmetric import padding as rsa_padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.serialization import pkcs7

from belvedere.engine.b2 import der
from belvedere.engine.b2.findings import B2Error, finding

PIECE = 256 * 1024
_HASHES: dict[str, type[hashes.SHA1] | type[hashes.SHA256] | type[hashes.SHA384] | type[hashes.SHA512]] = {
    "sha1": hashes.SHA1,
    "sha256": hashes.SHA256,
    "sha384": hashes.SHA384,
    "sha512": hashes.SHA512,
}
_AES_BYTES = {"aes128_cbc": 16, "aes192_cbc": 24, "aes256_cbc": 32}


@dataclass(frozen=True)
class Holder:
    """One of our certificates and its private key."""

    certificate: x509.Certificate
    key: RSAPrivateKey = field(repr=False)


def seal(clear: bytes, certificate: x509.Certificate) -> bytes:
    """Gzip then encrypt a flow for the holder of `certificate` (DER CMS enveloped-data, AES-256-CBC)."""
    packed = gzip.compress(clear, compresslevel=1, mtime=0)
    builder = pkcs7.PKCS7EnvelopeBuilder().set_data(packed).add_recipient(certificate)
    builder = builder.set_content_encryption_algorithm(algorithms.AES256)
    return builder.encrypt(serialization.Encoding.DER, [pkcs7.PKCS7Options.Binary])


def seal_stream(chunks: Iterable[bytes], certificate: x509.Certificate) -> Iterator[bytes]:
    """The same as `seal` for a file given by pieces: gzip, then CMS in BER with indefinite lengths."""
    secret, vector = os.urandom(32), os.urandom(16)
    public = certificate.public_key()
    if not isinstance(public, RSAPublicKey):
        raise TypeError("the certificate must hold an RSA key")
    ours = asn1_x509.Certificate.load(certificate.public_bytes(serialization.Encoding.DER))
    recipient = cms.RecipientInfo({
        "ktri": {
            "version": "v0",
            "rid": {"issuer_and_serial_number": {"issuer": ours.issuer, "serial_number": ours.serial_number}},
            "key_encryption_algorithm": {"algorithm": "rsaes_pkcs1v15"},
            "encrypted_key": public.encrypt(secret, rsa_padding.PKCS1v15()),
        }
    })  # fmt: skip
    algorithm = cms.EncryptionAlgorithm({"algorithm": "aes256_cbc", "parameters": core.OctetString(vector)})
    yield b"\x30\x80" + der.ENVELOPED + b"\xa0\x80\x30\x80\x02\x01\x00" + cms.RecipientInfos([recipient]).dump()
    yield b"\x30\x80" + der.DATA + algorithm.dump() + b"\xa0\x80"
    packer, pad = zlib.compressobj(1, zlib.DEFLATED, 31), padding.PKCS7(128).padder()
    cipher = Cipher(algorithms.AES(secret), modes.CBC(vector)).encryptor()
    for chunk in chunks:
        if piece := cipher.update(pad.update(packer.compress(chunk))):
            yield der.octets(piece)
    yield der.octets(cipher.update(pad.update(packer.flush()) + pad.finalize()) + cipher.finalize())
    yield bytes(10)  # five ends of contents


def _mine(recipient: cms.RecipientInfo, holder: Holder) -> bool:
    """Whether a recipient names our certificate, by issuer and serial number or by key identifier."""
    identifier = recipient.chosen["rid"]
    ours = asn1_x509.Certificate.load(holder.certificate.public_bytes(serialization.Encoding.DER))
    if identifier.name == "issuer_and_serial_number":
        serial = identifier.chosen["serial_number"].native
        return serial == ours.serial_number and identifier.chosen["issuer"].hashable == ours.issuer.hashable
    digest = x509.SubjectKeyIdentifier.from_public_key(holder.certificate.public_key()).digest
    return identifier.chosen.native == digest


def _secret(recipient: cms.RecipientInfo, key: RSAPrivateKey) -> bytes:
    info = recipient.chosen
    algorithm = info["key_encryption_algorithm"]
    pad: rsa_padding.AsymmetricPadding = rsa_padding.PKCS1v15()
    if algorithm["algorithm"].native == "rsaes_oaep":
        chosen = _HASHES[algorithm["parameters"]["hash_algorithm"]["algorithm"].native]
        mask = _HASHES[algorithm["parameters"]["mask_gen_algorithm"]["parameters"]["algorithm"].native]
        pad = rsa_padding.OAEP(rsa_padding.MGF1(mask()), chosen(), None)
    return key.decrypt(info["encrypted_key"].native, pad)


@dataclass
class Envelope:
    """An opened envelope: its public parts are checked, its content is still sealed. `buffer` is bytes or a
    memory map of the sealed file; `remarks` are codes of tolerances used."""

    buffer: memoryview
    cipher: Cipher
    block_bits: int
    segments: list[tuple[int, int]]
    remarks: list[str]

    def plain(self) -> Iterator[bytes]:
        """The decrypted content by pieces; B2Error E701 whatever fails."""
        try:
            opening, unpad = self.cipher.decryptor(), padding.PKCS7(self.block_bits).unpadder()
            for start, end in self.segments:
                for at in range(start, end, PIECE):
                    yield unpad.update(opening.update(self.buffer[at : min(at + PIECE, end)]))
            yield unpad.update(opening.finalize()) + unpad.finalize()
        except ValueError as error:
            raise B2Error(finding("E701")) from error


def open_envelope(buffer: bytes | memoryview, holders: Sequence[Holder], today: dt.datetime) -> Envelope:
    """Read the public part of a sealed flow and find its key among our `holders`; B2Error E701 to E706."""
    view = memoryview(buffer)
    try:
        parts = der.enveloped(view)
        recipients = list(cms.RecipientInfos.load(bytes(parts.recipients), strict=False))
        algorithm = cms.EncryptionAlgorithm.load(bytes(parts.algorithm), strict=False)
        name = algorithm["algorithm"].native
        named = [(r, h) for r in recipients if r.name == "ktri" for h in holders if _mine(r, h)]
    except der.Truncated as error:
        raise B2Error(finding("E702")) from error
    except der.NotEnveloped as error:
        raise B2Error(finding("E703")) from error
    except (ValueError, TypeError, KeyError) as error:
        raise B2Error(finding("E703")) from error
    if not named:
        raise B2Error(finding("E704"))
    if name not in _AES_BYTES and name != "tripledes_3key":
        raise B2Error(finding("E705", cipher=name if name.replace("_", "").isalnum() else "inconnu"))
    recipient, holder = named[0]
    if holder.certificate.not_valid_after_utc < today:
        raise B2Error(finding("E706"))
    # A key that does not open is replaced by a random one: what follows fails as any altered content would.
    size = _AES_BYTES.get(name, 24)
    secret = os.urandom(size)
    try:
        found = _secret(recipient, holder.key)
        secret = found if len(found) == size else secret
        vector = algorithm["parameters"].native
        cipher = Cipher(algorithms.AES(secret), modes.CBC(vector)) if name in _AES_BYTES else Cipher(TripleDES(secret), modes.CBC(vector))
    except (ValueError, TypeError, KeyError) as error:
        raise B2Error(finding("E701")) from error
    return Envelope(view, cipher, 128 if name in _AES_BYTES else 64, parts.segments, [] if name in _AES_BYTES else ["E711"])
