"""The outside world as one HTTP server: rights, identities, complementary bodies, front-end, shared records. Made-up people, a clock we hold, a fault plan.

It says of itself, in every answer: « simulateur – forme des messages reconstituée »."""

import datetime as dt
import json
import threading
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field, replace
from http import HTTPStatus
from typing import Any

from belvedere.engine.b2.envelope import Holder
from belvedere.engine.services import BANNER, documents, frontend, identity, roc
from belvedere.engine.services.guarantees import Line
from belvedere.engine.services.invoice_check import invoices
from belvedere.engine.services.rights import Question
from belvedere.engine.services.world import World, shares_of

MOST_BYTES = 64 * 1024 * 1024


@dataclass
class Simulator:
    """One world behind HTTP; every answer is made under a lock, so that two callers see one order."""

    world: World
    holders: list[Holder]
    now: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC)
    stays: dict[str, roc.File] = field(default_factory=dict)
    returns: dict[str, tuple[dt.date, bytes, list[frontend.Settled]]] = field(default_factory=dict)
    records: dict[str, documents.Record] = field(default_factory=dict)
    lots: set[str] = field(default_factory=set)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def cdri(self, asked: dict) -> tuple[int, Any]:
        question = Question(
            asked["site"],
            asked["agent"],
            asked["nir"],
            dt.date.fromisoformat(asked["day"]),
            asked.get("key", ""),
            asked.get("born", ""),
            asked.get("rank", ""),
        )
        answer = self.world.register.consult(question)
        if answer.code in ("50", "51"):
            return (503 if answer.code == "50" else 504), {"code": answer.code}
        return 200, {"code": answer.code, "rights": asdict(answer.rights) if answer.rights else None}

    def insi(self, asked: dict) -> tuple[int, Any]:
        """A search by traits among the test identities."""
        traits = identity.Traits(asked["family"], asked["given"], asked["sex"], dt.date.fromisoformat(asked["born"]), asked.get("place", ""))
        people = identity.test_identities()
        code, ins = identity.found(people, traits)
        held = next((one for one, number in people if number == ins), None)
        return 200, {"code": code, "ins": ins, "oid": identity.OID if ins else "", "traits": asdict(held) if held else None}

    def roc(self, verb: str, asked: dict) -> tuple[int, Any]:
        """A verb on a stay: IDB, SIM, CLC, DEL, DRE."""
        contract, day = self.world.contracts.get(asked["member"]), dt.date.fromisoformat(asked["day"])
        file = roc.expire(self.stays.get(asked["stay"], roc.File()), day)
        lines = [Line(**line) for line in asked.get("lines", [])]
        try:
            if verb == "IDB":
                file, reply = roc.identify(file, contract, day)
            elif verb in ("SIM", "CLC") and contract is None:
                raise roc.RocRefused("L’organisme ne connaît pas ce bénéficiaire à cette date.")
            elif verb == "SIM":
                file, reply = roc.simulate(file, contract, lines, day)
            elif verb == "CLC":
                file, reply = roc.commit(file, contract, lines, day, asked["key"])
            elif verb == "DEL":
                file, reply = roc.cancel(file)
            elif verb == "DRE":
                file, reply = roc.bill(file, int(asked["amount"]), day)
            else:
                return 404, {"message": "Verbe inconnu."}
        except (roc.RocRefused, ValueError) as error:
            self.stays[asked["stay"]] = file
            return 409, {"message": str(error), "state": file.state}
        self.stays[asked["stay"]] = file
        return 200, asdict(reply)

    def settle_stay(self, stay: str) -> tuple[int, bool]:
        """The body's return on a billed stay: (cents paid, rejected); one in twenty-five is rejected."""
        file = self.stays[stay]
        rejected = sum(map(ord, stay)) % 25 == 0
        self.stays[stay] = roc.settle(file, paid=not rejected)
        return (0, True) if rejected else (file.billed, False)

    def front(self, sealed: bytes) -> frontend.Acknowledgement:
        """Take a flow; what is accepted is paid or rejected later, at days of the clock."""
        taken = frontend.receive(sealed, self.holders, self.now())
        told = taken.acknowledgement
        if told.accepted and told.reference not in self.returns:
            register = {one.nir: one for one in self.world.people}
            believed = {one.nir: one for one in self.world.known}
            billed = list(invoices(taken.clear))
            day = billed[0].day or self.world.day
            amounts = {one.number: shares_of(believed[one.nir], one.day or day) for one in billed if one.nir in believed}
            settled = frontend.settle(taken.clear, amounts, register, self.now().date(), seed=self.world.seed)
            last = max(one.day for one in settled)
            self.returns[told.reference] = (last, frontend.noemie(settled, self.world.finess, self.now().date()), settled)
        return told

    def front_return(self, reference: str) -> bytes | None:
        """The NOEMIE file of a flow, once its day has come."""
        held = self.returns.get(reference)
        return held[1] if held and held[0] <= self.now().date() else None

    def submit(self, asked: dict) -> tuple[int, Any]:
        """A document for a shared record."""
        told = documents.as_metadata(asked)
        code = self.records.setdefault(told.ins, documents.Record()).submit(told, documents.wrong(told, self.now()))
        return 200, {"code": code}

    def answer(self, method: str, path: str, body: bytes) -> tuple[int, str, bytes]:
        """(status, media type, body) of a call."""
        parts = [part for part in path.split("/") if part]
        try:
            with self.lock:
                if method == "POST" and parts == ["frontal"]:
                    return _json(200, asdict(self.front(body)))
                if method == "GET" and len(parts) == 3 and parts[0] == "frontal" and parts[2] == "retour":
                    made = self.front_return(parts[1])
                    return (200, "application/edi-consent", made) if made else _json(404, {"message": "Aucun retour à ce jour."})
                if method == "POST" and parts == ["scor"]:
                    self.lots.add(str(len(body)))
                    return _json(200, {"code": "arl_positif"})
                if method != "POST":
                    return _json(404, {"message": "Adresse inconnue."})
                asked = json.loads(body)
                if parts == ["cdri"]:
                    return _json(*self.cdri(asked))
                if parts == ["insi"]:
                    return _json(*self.insi(asked))
                if parts == ["dmp"]:
                    return _json(*self.submit(asked))
                if len(parts) == 2 and parts[0] == "roc":
                    return _json(*self.roc(parts[1], asked))
        except (ValueError, KeyError, TypeError) as error:
            return _json(400, {"message": f"Demande illisible : {type(error).__name__}."})
        return _json(404, {"message": "Adresse inconnue."})

    def application(self, environ: dict, start_response: Callable) -> Iterable[bytes]:
        """The WSGI face."""
        length = int(environ.get("CONTENT_LENGTH") or 0)
        if length > MOST_BYTES:
            status, media, body = _json(413, {"message": "Trop gros."})
        else:
            status, media, body = self.answer(
                environ["REQUEST_METHOD"], environ.get("PATH_INFO", "/"), environ["wsgi.input"].read(length) if length else b""
            )
        headers = [("Content-Type", media), ("Content-Length", str(len(body))), ("X-Simulateur", BANNER.encode().decode("latin-1"))]
        start_response(f"{status} {HTTPStatus(status).phrase}", headers)
        return [body]


def _json(status: int, content: Any) -> tuple[int, str, bytes]:
    held = content | {"note": BANNER} if isinstance(content, dict) else content
    return status, "application/json", json.dumps(held, ensure_ascii=False, default=str).encode()


def cured(simulator: Simulator) -> None:
    """End the faults of the outside: what failed is asked again with success."""
    simulator.world.register.faults = replace(simulator.world.register.faults, cured=True)
