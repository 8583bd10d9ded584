"""A front end for tests: TLS with client certificates asked for and verified, the certificate passed on as RFC 9440 says, whatever the client wrote there."""

import contextlib
import datetime as dt
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from wsgiref.simple_server import WSGIRequestHandler, make_server

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from belvedere.engine.exchange.credentials import header_of


@dataclass
class Authority:
    """An authority that signs certificates of structures, and of the front end."""

    folder: Path
    name: str = "AC d’essai"

    def __post_init__(self) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, self.name)])
        self.certificate = self._made(self.subject, self.key.public_key(), authority=True)
        self.path = self.folder / "ac.pem"
        self.path.write_bytes(self.certificate.public_bytes(Encoding.PEM))

    def _made(self, subject, public, *, authority=False, days=30, host="", server_only=False) -> x509.Certificate:
        now = dt.datetime.now(dt.UTC)
        built = (
            x509.CertificateBuilder().subject_name(subject).issuer_name(self.subject).public_key(public).serial_number(x509.random_serial_number())
        )
        built = built.not_valid_before(now - dt.timedelta(days=60)).not_valid_after(now + dt.timedelta(days=days))
        built = built.add_extension(x509.BasicConstraints(authority, None), critical=True)
        if server_only:
            built = built.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        if host:
            import ipaddress

            built = built.add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(host))]), critical=False)
        return built.sign(self.key, hashes.SHA256())

    def issue(self, name: str, *, unit: str = "", days: int = 30, host: str = "", server_only: bool = False) -> "Pair":
        """A certificate of `name`, whose organisational unit is `unit`."""
        key = ec.generate_private_key(ec.SECP256R1())
        parts = [x509.NameAttribute(NameOID.COMMON_NAME, name)] + ([x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, unit)] if unit else [])
        certificate = self._made(x509.Name(parts), key.public_key(), days=days, host=host, server_only=server_only)
        path = self.folder / f"{certificate.serial_number:x}.pem"
        path.write_bytes(certificate.public_bytes(Encoding.PEM) + key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        return Pair(certificate, key, path)


@dataclass(frozen=True)
class Pair:
    """A certificate, its key, and the file of both."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey
    path: Path

    @property
    def header(self) -> dict[str, str]:
        """What the front end passes on, as the test client takes it."""
        return {"HTTP_CLIENTCERT": header_of(self.certificate)}


class _Passing(WSGIRequestHandler):
    def get_environ(self) -> dict:
        environ = super().get_environ()
        environ.pop("HTTP_CLIENTCERT", None)
        if raw := self.connection.getpeercert(binary_form=True):
            environ["HTTP_CLIENTCERT"] = header_of(x509.load_der_x509_certificate(raw))
        return environ

    def log_message(self, *given: object) -> None:
        """Nothing."""


@contextlib.contextmanager
def front(application: Callable, authority: Authority) -> Iterator[str]:
    """An application behind TLS 1.2 or 1.3 where a certificate of the authority is compulsory; its address."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(authority.issue("frontal", host="127.0.0.1").path)
    context.load_verify_locations(authority.path)
    context.verify_mode = ssl.CERT_REQUIRED
    server = make_server("127.0.0.1", 0, application, handler_class=_Passing)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"https://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
