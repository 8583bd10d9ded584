"""Ports to the services and their adapters: HTTP to a simulator; the SOAP one is only a shape, until somebody has the contract (see `engine.services.soap`)."""

import datetime as dt
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol

import requests
from django.utils import timezone

from belvedere.engine.services.frontend import Acknowledgement
from belvedere.engine.services.guarantees import Line
from belvedere.engine.services.identity import Traits
from belvedere.engine.services.rights import Answer, Exemption, Question, Rights, Span
from belvedere.observatory.services.models import Call

TIMEOUT = 10


class RightsService(Protocol):
    """Who answers consultations of rights."""

    def consult(self, asked: Question) -> Answer: ...


def count(service: str, site: str, result: str, started: float, *, software: str = "", regime: str = "") -> None:
    """Count one call: this feeds the market study."""
    Call.objects.create(
        service=service, at=timezone.now(), site=site, software=software[:40], regime=regime, result=result[:8], milliseconds=int(1000 * (time.perf_counter() - started)),
    )  # fmt: skip


def _spans(held: Sequence[dict]) -> tuple[Span, ...]:
    return tuple(Span(dt.date.fromisoformat(one["since"]), dt.date.fromisoformat(one["until"]) if one["until"] else None) for one in held)


def _rights(held: dict) -> Rights:
    exemptions = tuple(Exemption(one["code"], *_spans([one["span"]])) for one in held["exemptions"])
    return Rights(**{**held, "open": _spans(held["open"]), "solidarity": _spans(held["solidarity"]), "exemptions": exemptions})


@dataclass
class Outside:
    """The services behind one address; every call is counted, whatever becomes of it."""

    base: str
    software: str = ""

    def __post_init__(self) -> None:
        self._session = requests.Session()

    def _post(self, path: str, content: Any) -> requests.Response:
        return self._session.post(self.base + path, json=content, timeout=TIMEOUT)

    def consult(self, asked: Question) -> Answer:
        """CDRi; a service that is down answers 50, one that is late 51."""
        started = time.perf_counter()
        try:
            told = self._post("/cdri", asdict(asked) | {"day": asked.day.isoformat()})
            held = told.json()
            code = str(held.get("code", "50"))
            answer = Answer(code, _rights(held["rights"]) if held.get("rights") else None)
        except requests.Timeout:
            answer = Answer("51")
        except (requests.RequestException, ValueError, KeyError):
            answer = Answer("50")
        count("CDRI", asked.site, answer.code, started, software=self.software, regime=answer.rights.regime if answer.rights else "")
        return answer

    def identify(self, traits: Traits, site: str) -> tuple[str, str, Traits | None]:
        """INSi: (result code, INS or "", the traits that the service holds)."""
        started = time.perf_counter()
        held = self._post("/insi", asdict(traits) | {"born": traits.born.isoformat()}).json()
        count("INSI", site, str(held["code"]), started, software=self.software)
        told = held.get("traits")
        return str(held["code"]), str(held["ins"]), Traits(**{**told, "born": dt.date.fromisoformat(told["born"])}) if told else None

    def roc(self, verb: str, site: str, **asked: Any) -> tuple[bool, dict]:
        """A verb of ROC: (done, answer)."""
        started = time.perf_counter()
        lines = [asdict(line) if isinstance(line, Line) else line for line in asked.pop("lines", [])]
        told = self._post(f"/roc/{verb}", asked | {"lines": lines})
        count("ROC", site, "00" if told.ok else "REFUS", started, software=self.software)
        return told.ok, told.json()

    def send(self, sealed: bytes, site: str) -> Acknowledgement:
        """A flow to the front-end."""
        started = time.perf_counter()
        held = self._session.post(self.base + "/frontal", data=sealed, headers={"Content-Type": "application/pkcs7-mime"}, timeout=TIMEOUT).json()
        told = Acknowledgement(**{**held, "warnings": tuple(held["warnings"])})
        count("TRANSPORT", site, "00" if told.accepted else told.code, started, software=self.software)
        return told

    def fetch_return(self, reference: str) -> bytes | None:
        """The NOEMIE file of a flow, None while it has not come."""
        told = self._session.get(f"{self.base}/frontal/{reference}/retour", timeout=TIMEOUT)
        return told.content if told.ok else None

    def send_pieces(self, lot: bytes, site: str) -> str:
        """A lot of supporting documents: the state it comes to."""
        started = time.perf_counter()
        told = self._session.post(self.base + "/scor", data=lot, timeout=TIMEOUT)
        state = str(told.json().get("code", "arl_negatif")) if told.ok else "arl_negatif"
        count("SCOR", site, "00" if state == "arl_positif" else state[:8], started, software=self.software)
        return state

    def submit_document(self, content: dict, site: str) -> str:
        """A document to the shared record: its result code."""
        started = time.perf_counter()
        code = str(self._post("/dmp", content).json().get("code", "10"))
        count("DMP", site, code, started, software=self.software)
        return code

    def close(self) -> None:
        self._session.close()
