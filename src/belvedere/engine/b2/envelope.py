"""Transport encryption: CMS enveloped-data, as flows travel to the health insurance (norm reference §12).

`seal` is what `belvedere push` does; `open_sealed` reads DER or streamed BER, RSA key transport and
AES-CBC. Every failure gives the same error, so that the reception is no decryption oracle.
"""

import gzip
import io

from asn1crypto import cms
from cryptography import x509
from cryptography.hazmat.primitives import hashes, padding, serialization
from cryptography.hazmat.primitives.asymmetric import padding as rsa_padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.serialization import pkcs7

from belvedere.engine.b2.findings import B2Error, finding

GZIP_MAGIC = b"\x1f\x8b"
MAX_CLEAR_BYTES = 512 * 1024 * 1024


def seal(clear: bytes, certificate: x509.Certificate) -> bytes:
    """Gzip then encrypt a flow for the holder of `certificate` (DER CMS enveloped-data, AES-256-CBC)."""
    packed = gzip.compress(clear, compresslevel=1, mtime=0)
    builder = pkcs7.PKCS7EnvelopeBuilder().set_data(packed).add_recipient(certificate)
    builder = builder.set_content_encryption_algorithm(algorithms.AES256)
    return builder.encrypt(serialization.Encoding.DER, [pkcs7.PKCS7Options.Binary])


def _content_key(recipients: cms.RecipientInfos, key: RSAPrivateKey) -> bytes:
    for recipient in recipients:
        info = recipient.chosen
        if recipient.name != "ktri":
            continue
        scheme = info["key_encryption_algorithm"]["algorithm"].native
        pad: rsa_padding.AsymmetricPadding = rsa_padding.PKCS1v15()
        if scheme == "rsaes_oaep":
            pad = rsa_padding.OAEP(rsa_padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)
        try:
            return key.decrypt(info["encrypted_key"].native, pad)
        except ValueError:
            continue
    raise ValueError("no recipient matches")


def open_sealed(sealed: bytes, key: RSAPrivateKey, limit: int = MAX_CLEAR_BYTES) -> bytes:
    """The clear bytes of a sealed flow (gunzipped when compressed); B2Error E701 or P602."""
    try:
        content = cms.ContentInfo.load(sealed, strict=False)
        if content["content_type"].native != "enveloped_data":
            raise ValueError("not enveloped data")
        envelope = content["content"]
        encrypted = envelope["encrypted_content_info"]
        algorithm = encrypted["content_encryption_algorithm"]
        if algorithm.encryption_cipher != "aes" or algorithm.encryption_mode != "cbc":
            raise ValueError("cipher not accepted")
        secret = _content_key(envelope["recipient_infos"], key)
        cipher = Cipher(algorithms.AES(secret), modes.CBC(algorithm.encryption_iv)).decryptor()
        padded = cipher.update(encrypted["encrypted_content"].native) + cipher.finalize()
        unpad = padding.PKCS7(128).unpadder()
        clear = unpad.update(padded) + unpad.finalize()
        if clear[:2] == GZIP_MAGIC:
            with gzip.GzipFile(fileobj=io.BytesIO(clear)) as stream:
                clear = stream.read(limit + 1)
    except Exception as error:  # one answer for every failure: no padding oracle
        raise B2Error(finding("E701")) from error
    if len(clear) > limit:
        raise B2Error(finding("P602", limit=limit // 1_048_576))
    return clear
