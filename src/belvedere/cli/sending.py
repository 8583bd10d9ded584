"""The sender's side of the HTTP API: seal, upload by pieces with resumption (tus), wait for the receipt.

Needs nothing of the observatory's own code but the envelope; retries what may pass, and says plainly what will not.
"""

import base64
import contextlib
import hashlib
import json
import os
import random
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

from cryptography import x509

from belvedere.engine.b2.envelope import seal_stream

PIECE = 4 * 1024 * 1024
ATTEMPTS = 8
PASSING = (409, 423, 425, 429, 500, 502, 503, 504)
Progress = Callable[[int, int], None]


class ServerRefuses(Exception):
    """The server's answer will not change: what and why, in French."""


class Unreachable(Exception):
    """The server did not answer after several tries."""


def pause(attempt: int, told: str | None) -> float:
    """Seconds to wait: what the server asks, else doubling with some chance, at most half a minute."""
    if told and told.isdecimal():
        return float(told)
    return min(30.0, 0.2 * 2**attempt) * (0.5 + random.random())


class Sending:
    """One sender's calls to the API."""

    def __init__(self, server: str, token: str, *, test: bool = False) -> None:
        self._api, self._token, self._test = server.rstrip("/") + "/api/v1", token, test
        self._certificate: x509.Certificate | None = None

    def call(self, method: str, url: str, body: bytes | None = None, **headers: str) -> tuple[bytes, dict[str, str]]:
        """(body, headers) of an answer; ServerRefuses, Unreachable. What may pass is tried again."""
        sent = {"Authorization": f"Bearer {self._token}"} | {name.replace("_", "-"): value for name, value in headers.items()}
        last = ""
        for attempt in range(ATTEMPTS):
            told = None
            try:
                request = urllib.request.Request(url, data=body, headers=sent, method=method)  # noqa: S310 (the user's address)
                with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
                    return answer.read(), {name.lower(): value for name, value in answer.headers.items()}
            except urllib.error.HTTPError as error:
                content = error.read()
                if error.code not in PASSING or error.code in (409, 423):
                    raise ServerRefuses(_told(error.code, content)) from error
                told, last = error.headers.get("Retry-After"), f"réponse {error.code}"
            except (urllib.error.URLError, ConnectionError, TimeoutError) as error:
                last = str(getattr(error, "reason", error))
            if attempt < ATTEMPTS - 1:
                time.sleep(pause(attempt, told))
        raise Unreachable(last)

    def certificate(self) -> x509.Certificate:
        """The observatory's certificate, asked once."""
        if self._certificate is None:
            self._certificate = x509.load_pem_x509_certificate(self.call("GET", f"{self._api}/certificate")[0])
        return self._certificate

    def seal(self, path: Path, target: Path) -> int:
        """Write the sealed form of a clear file, in a stream; its size. The clear bytes stay where they were."""
        partial = target.with_suffix(".partial")
        with path.open("rb") as stream, partial.open("wb") as out:
            for piece in seal_stream(iter(lambda: stream.read(1024 * 1024), b""), self.certificate()):
                out.write(piece)
            out.flush()
            os.fsync(out.fileno())
        partial.rename(target)
        return target.stat().st_size

    def send(self, path: Path, tell: Progress = lambda sent, total: None) -> dict:
        """Seal and upload a file; the answer of the API with its receipt number."""
        with tempfile.TemporaryDirectory(prefix="belvedere-") as folder:
            sealed = Path(folder) / "flux.p7m"
            self.seal(path, sealed)
            return self.upload(sealed, path.name, base64.b16encode(os.urandom(16)).decode(), tell)

    def upload(self, sealed: Path, name: str, key: str, tell: Progress = lambda sent, total: None) -> dict:
        """Upload a sealed file under an idempotency key, going on from where the server is."""
        size = sealed.stat().st_size
        told = f"filename {base64.b64encode(name.encode()).decode()}" + (",test MQ==" if self._test else "")
        _, headers = self.call(
            "POST", f"{self._api}/uploads", b"", Tus_Resumable="1.0.0", Upload_Length=str(size), Upload_Metadata=told, Idempotency_Key=key
        )
        url = headers["location"]
        failures = 0
        while True:
            _, headers = self.call("HEAD", url, Tus_Resumable="1.0.0")
            if "belvedere-receipt" in headers:
                break
            try:
                for sent, answered in self._pieces(sealed, url, int(headers["upload-offset"]), size):
                    tell(sent, size)
                    headers = answered
                failures = 0
            except ServerRefuses as error:
                # The position changed under us, or the last piece is still being written: ask again.
                failures += 1
                if failures > ATTEMPTS or not str(error).startswith(("P409", "P423")):
                    raise
                time.sleep(pause(failures, None))
            if "belvedere-receipt" in headers:
                break
        tell(size, size)
        return self.receipt(int(headers["belvedere-receipt"]))

    def _pieces(self, sealed: Path, url: str, offset: int, size: int) -> Iterator[tuple[int, dict[str, str]]]:
        with sealed.open("rb") as stream:
            stream.seek(offset)
            while offset < size:
                piece = stream.read(PIECE)
                _, headers = self.call(
                    "PATCH", url, piece, Tus_Resumable="1.0.0", Upload_Offset=str(offset), Content_Type="application/offset+octet-stream"
                )
                offset += len(piece)
                yield offset, headers

    def receipt(self, number: int) -> dict:
        """The receipt as it stands."""
        return json.loads(self.call("GET", f"{self._api}/flows/{number}")[0])

    def wait(self, answer: dict, timeout: float) -> dict:
        """The receipt once the flow is settled, or as it stands after `timeout` seconds."""
        deadline, step = time.monotonic() + timeout, 0.05
        while not answer["settled"] and time.monotonic() < deadline:
            time.sleep(step)
            step = min(step * 1.5, 1.0)
            answer = self.receipt(answer["receipt"])
        return answer


def _told(status: int, content: bytes) -> str:
    reasons = {401: "jeton inconnu ou révoqué.", 404: "adresse inconnue.", 413: "fichier trop gros."}
    with contextlib.suppress(ValueError, KeyError, TypeError):
        found = json.loads(content)
        return f"{found['code']} {found['message']} {found.get('remedy', '')}".strip()
    return reasons.get(status, f"réponse {status}.")


class WatchedFolder:
    """A folder whose files are sent, each once. What was done is kept in `.belvedere`, beside the sealed forms,
    so that a restart goes on where it was; receipts are written in `accuses`, sent files move to `envoyes`."""

    REST_SECONDS = 1.0

    def __init__(self, folder: Path, sending: Sending) -> None:
        self._folder, self._sending = folder, sending
        self._kept = folder / ".belvedere"
        self._kept.mkdir(parents=True, exist_ok=True, mode=0o700)
        for name in ("accuses", "envoyes"):
            (folder / name).mkdir(exist_ok=True)

    def _waiting(self) -> list[Path]:
        now, found = time.time(), []
        for path in sorted(self._folder.iterdir()):
            with contextlib.suppress(FileNotFoundError):
                if path.is_file() and not path.name.startswith(".") and path.suffix != ".partial" and now - path.stat().st_mtime > self.REST_SECONDS:
                    found.append(path)
        return found

    def pending(self) -> bool:
        """Whether a file still waits or rests."""
        return any(path.is_file() and not path.name.startswith(".") for path in self._folder.iterdir())

    def settle(self, progress: Callable[[str], Progress], timeout: float) -> Iterator[tuple[Path, dict]]:
        """Send every file that rests; (path, receipt) of each."""
        for path in self._waiting():
            stat = path.stat()
            # The same file after a restart gives the same key, hence the same flow.
            key = hashlib.sha256(f"{path.name}:{stat.st_size}:{stat.st_mtime_ns}".encode()).hexdigest()[:40]
            sealed = self._kept / f"{key}.p7m"
            if not sealed.exists():
                self._sending.seal(path, sealed)
            answer = self._sending.wait(self._sending.upload(sealed, path.name, key, progress(path.name)), timeout)
            receipt = self._folder / "accuses" / f"{path.name}.{answer['receipt']}.accuse.json"
            partial = receipt.with_suffix(".partial")
            partial.write_text(json.dumps(answer, ensure_ascii=False, indent=1))
            partial.rename(receipt)
            path.rename(self._folder / "envoyes" / f"{answer['receipt']}-{path.name}")
            sealed.unlink(missing_ok=True)
            yield path, answer
