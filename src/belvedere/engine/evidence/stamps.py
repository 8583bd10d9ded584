"""RFC 3161 time-stamps read back: whether a token is whole and stamps these very bytes."""

import base64
import hashlib

from asn1crypto import cms, tsp
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

_HASHES: dict[str, hashes.HashAlgorithm] = {"sha256": hashes.SHA256(), "sha384": hashes.SHA384(), "sha512": hashes.SHA512()}


def wrong(token: str, stamped: bytes) -> str | None:
    """Why a token (base64 DER) does not stamp these bytes, in French; None when it does.

    The signature and the purpose of the signing certificate are checked; who the authority is stays the reader's
    judgement: its certificate is in the token.
    """
    try:
        signed = cms.ContentInfo.load(base64.b64decode(token, validate=True))["content"]
        info: tsp.TSTInfo = signed["encap_content_info"]["content"].parsed
        imprint = info["message_imprint"]
        algorithm = imprint["hash_algorithm"]["algorithm"].native
        if imprint["hashed_message"].native != hashlib.new(algorithm, stamped).digest():
            return "porte sur autre chose"
        signer = signed["signer_infos"][0]
        content = bytes(signed["encap_content_info"]["content"].contents)
        digest = signer["digest_algorithm"]["algorithm"].native
        attributes = {item["type"].native: item["values"] for item in signer["signed_attrs"]}
        if attributes["message_digest"][0].native != hashlib.new(digest, content).digest():
            return "a été modifié"
        certificate = _signer(signed, signer)
        purposes = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        if ExtendedKeyUsageOID.TIME_STAMPING not in purposes:
            return "n’est pas signé par une autorité d’horodatage"
        _verify(certificate, signer["signature"].native, signer["signed_attrs"].untag().dump(), _HASHES[digest])
    except InvalidSignature:
        return "a une signature fausse"
    except (ValueError, KeyError, TypeError, IndexError, LookupError, x509.ExtensionNotFound):
        return "n’est pas lisible"
    return None


def _signer(signed: cms.SignedData, signer: cms.SignerInfo) -> x509.Certificate:
    serial = signer["sid"].chosen["serial_number"].native
    return next(x509.load_der_x509_certificate(item.chosen.dump()) for item in signed["certificates"] if item.chosen.serial_number == serial)


def _verify(certificate: x509.Certificate, signature: bytes, content: bytes, algorithm: hashes.HashAlgorithm) -> None:
    key = certificate.public_key()
    if isinstance(key, rsa.RSAPublicKey):
        key.verify(signature, content, padding.PKCS1v15(), algorithm)
    elif isinstance(key, ec.EllipticCurvePublicKey):
        key.verify(signature, content, ec.ECDSA(algorithm))
    else:
        raise ValueError("unknown key")
