"""The whole loop of a biller against the simulators (reference §8): rights, invoices, controls, encryption, front-end, acknowledgement, supporting documents,
payments and rejections, matching; ROC on fifty stays. Steps are kept as figures, nobody's name."""

import datetime as dt
import io
import secrets
import smtplib
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.ciphers import algorithms
from cryptography.hazmat.primitives.serialization import pkcs7
from django.db import transaction
from PIL import Image

from belvedere.engine.b2 import noemie
from belvedere.engine.b2.noemie import Returns
from belvedere.engine.privacy.pseudonyms import PseudonymKeys
from belvedere.engine.services import frontend, invoice_check, matching, pieces
from belvedere.engine.services.guarantees import Line
from belvedere.engine.services.invoice_check import Billed, Difference
from belvedere.engine.services.results import results
from belvedere.engine.services.rights import Question, Rights
from belvedere.engine.services.world import AGENT, World, b2_file, make, shares_of
from belvedere.engine.warehouse.intake import examine
from belvedere.observatory.journal.actions import record
from belvedere.observatory.services import consulting, simulator_mail
from belvedere.observatory.services.adapters import Outside
from belvedere.observatory.services.models import Story
from belvedere.observatory.services.serving import Running, running
from belvedere.observatory.services.simulator import cured

Say = Callable[[str], None]
SOFTWARE, STAYS = "LOGIDOM 4.2", 50


@dataclass
class Step:
    """One step: its title, a sentence, a table, and whether the outside was simulated."""

    title: str
    told: str
    header: list[str] = field(default_factory=list)
    rows: list[list[str]] = field(default_factory=list)
    simulated: bool = False


class Clock:
    """The simulators' clock, moved by the story."""

    def __init__(self, day: dt.date) -> None:
        self.day = day

    def __call__(self) -> dt.datetime:
        return dt.datetime.combine(self.day, dt.time(9), dt.UTC)


def _euros(cents: int) -> str:
    return f"{cents / 100:,.2f} €".replace(",", "\u202f").replace(".", ",")


def _anomalies(count: int) -> str:
    return "aucune anomalie" if not count else f"{count} anomalie{'s' * (count > 1)}"


def _sealed(clear: bytes, office: frontend.Holder) -> bytes:
    """Gzip inside S/MIME, AES-128, as offices ask."""
    import gzip

    builder = pkcs7.PKCS7EnvelopeBuilder().set_data(gzip.compress(clear, mtime=0)).add_recipient(office.certificate)
    return builder.set_content_encryption_algorithm(algorithms.AES128).encrypt(serialization.Encoding.DER, [pkcs7.PKCS7Options.Binary])


@dataclass
class Loop:
    """One story being played."""

    world: World
    outside: Outside
    live: Running
    clock: Clock
    steps: list[Step] = field(default_factory=list)
    rights: dict[str, Rights] = field(default_factory=dict)

    @property
    def site(self) -> str:
        return f"{self.world.finess:09d}"

    def consult(self) -> None:
        """Pre-admission: a lot of everybody, then what failed for the outside's fault alone."""
        asked = [Question(self.site, AGENT, one.nir, self.world.day, one.key, one.born, one.rank) for one in self.world.known]
        lot = consulting.open_lot(site=self.site, given=f"preadmission-{secrets.token_hex(4)}", asked=asked, by="histoire")
        first = consulting.run(lot, self.outside, by="histoire")
        counted = Counter(answer.code for answer in first.values())
        cured(self.live.simulator)
        again = consulting.run(lot, self.outside, by="histoire")
        for at, answer in (first | again).items():
            if answer.rights is not None and answer.code == "00":
                self.rights[asked[at].nir] = answer.rights
        useless = sum(count for code, count in counted.items() if code != "00")
        rows = [[code, held.label, str(counted[code]), held.remedy] for code in sorted(counted) for held in (results()["CDRI", code],)]
        told = f"{len(asked)} dossiers consultés en un lot ; {useless} sans réponse utile, chacun avec sa raison ; {len(again)} redemandés, {lot.useful} droits trouvés en tout."
        self.steps.append(Step("Droits (CDRi, lot de préadmission)", told, ["Code", "Réponse", "Dossiers", "Que faire"], rows, True))

    def bill(self) -> bytes:
        """The invoices of the month, as the software believes."""
        raw = b2_file(self.world.known, self.world.day, finess=self.world.finess, vendor=SOFTWARE)
        found = examine([raw], keys=PseudonymKeys(secrets.token_bytes(32), secrets.token_bytes(32)))
        total = sum(sum(shares_of(one, self.world.day)) for one in self.world.known)
        told = f"{found.invoices} factures B2 de {_euros(total)} à la charge des organismes, {found.records} enregistrements de 128 caractères ; contrôles de la norme : {_anomalies(len(found.findings))}."
        self.steps.append(Step("Factures et contrôles de la norme", told))
        return raw

    def check(self, raw: bytes) -> bytes:
        """The invoices against the rights; what can be corrected is."""
        found: list[tuple[Billed, list[Difference] | None]] = list(invoice_check.checked(raw, lambda billed: self.rights.get(billed.nir)))
        wrong = [one for _, differences in found if differences for one in differences]
        mended = invoice_check.corrected(raw, wrong)
        before, after = (self._rejects(one) for one in (raw, mended))
        counted = Counter(one.check.label for one in wrong)
        rows = [
            [label, str(count), next(one.check.cause_label for one in wrong if one.check.label == label)] for label, count in counted.most_common()
        ]
        silent = sum(differences is None for _, differences in found)
        told = f"{sum(bool(differences) for _, differences in found)} factures s’écartent des droits ({silent} ne peuvent être contrôlées, faute de réponse) ; corrigées, {before - after} rejets sont évités sur {before}."
        self.steps.append(Step("Contrôle de facture", told, ["Zone", "Factures", "Rejet probable"], rows))
        return mended

    def _rejects(self, raw: bytes) -> int:
        register = {one.nir: one for one in self.world.people}
        return sum(not one.paid for one in frontend.settle(raw, {}, register, self.clock.day, seed=self.world.seed))

    def send(self, raw: bytes) -> frontend.Acknowledgement:
        """In clear first, which is refused; then sealed, by mail, and acknowledged."""
        refused = self.outside.send(raw, self.site)
        sealed = _sealed(raw, self.live.office)
        stamp = f"{self.clock():%Y%m%d%H%M%S}"
        mail = simulator_mail.message(sealed, sender=self.site, stamp=stamp, count=len(self.world.known), product="COFFRE", version="2.1")
        with smtplib.SMTP(*self.live.mail, timeout=20) as client:
            client.send_message(mail)
        told = self.outside.send(sealed, self.site)
        rows = [
            ["en clair, par API", refused.code, refused.label, refused.remedy],
            ["AES-128, par messagerie puis API", told.code, told.label, f"{told.invoices} factures, {told.reference}"],
        ]
        self.steps.append(
            Step(
                "Chiffrement, envoi, acquittement",
                "Le flux en clair est refusé ; le même, chiffré, est acquitté.",
                ["Envoi", "Code", "Réponse", "Suite"],
                rows,
                True,
            )
        )
        return told

    def join_pieces(self, raw: bytes, accepted: bool) -> None:
        """SCOR: a piece for each invoice reimbursed in full, once the file is acknowledged."""
        billed = list(invoice_check.invoices(raw))
        required = frozenset(one.number for one in billed if one.zones["tm_justif"] not in ("", "0"))
        made = tuple(pieces.Piece(f"protocole-{number}.png", _scan(rank), number, self.world.day) for rank, number in enumerate(sorted(required)))
        lot = pieces.Lot(self.site, "000001", accepted, frozenset(one.number for one in billed), required, self.world.day, made)
        missing = pieces.check(pieces.Lot(**{**lot.__dict__, "pieces": made[:-2]}))
        remarks = pieces.check(lot)
        packed = pieces.packed(lot)
        state = self.outside.send_pieces(packed, self.site) if not remarks else "a_joindre"
        told = f"{len(made)} pièces pour {len(required)} factures exonérées ; un lot incomplet aurait été arrêté ({len(missing)} factures sans pièce) ; {len(packed) // 1024} ko transmis, état : {state.replace('_', ' ')}."
        self.steps.append(Step("Pièces justificatives (SCOR)", told, simulated=True))

    def be_paid(self, reference: str) -> Returns:
        """The days pass, the return comes."""
        early = self.outside.fetch_return(reference)
        self.clock.day += dt.timedelta(days=15)
        content = self.outside.fetch_return(reference)
        if early is not None or content is None:
            raise RuntimeError("le retour n’est pas venu à son jour")
        answered = noemie.returns(content)
        table = noemie.table(answered).to_pylist()
        causes = Counter((row["code"], row["label"]) for row in table if row["state"] == "R")
        rows = [[str(code), str(label), str(count)] for (code, label), count in causes.most_common()]
        paid = sum(row["paid_amo"] for row in table)
        told = f"{sum(row['state'] == 'P' for row in table)} factures payées pour {_euros(paid)} de part obligatoire, {sum(causes.values())} rejetées, en 5 à 12 jours."
        self.steps.append(Step("Paiements et rejets (NOEMIE)", told, ["Code", "Motif", "Factures"], rows, True))
        return answered

    def match(self, raw: bytes, answered: Returns) -> None:
        """Billed, returned, banked; one line of the bank is short, one is late."""
        believed = {one.nir: one for one in self.world.known}
        billed = {one.number: (shares_of(believed[one.nir], self.world.day)[0], self.world.day) for one in invoice_check.invoices(raw)}
        returned = {f"{row['invoice_no']:09d}": (row["paid_amo"], row["state"] == "R") for row in noemie.table(answered).to_pylist()}
        banked = {number: paid for number, (paid, rejected) in returned.items() if not rejected}
        short, late, *_ = sorted(banked)
        banked[short] -= 100
        del banked[late]
        self._matched("Rapprochement : facture, retour, banque", matching.match({}, billed, returned, banked, self.clock.day))

    def _matched(self, title: str, found: list[matching.Matched]) -> None:
        counted = Counter(one.case.code for one in found)
        cents = {code: sum(one.billed or one.committed or 0 for one in found if one.case.code == code) for code in counted}
        rows = [
            [matching.cases()[code].label, str(count), _euros(cents[code]), matching.cases()[code].remedy or "Rien"]
            for code, count in counted.most_common()
        ]
        told = f"{counted['COMPLET']} rapprochées sur {len(found)} ; chaque autre dit ce qui reste à faire."
        self.steps.append(Step(title, told, ["Cas", "Nombre", "Montant", "Que faire"], rows))

    def complementary(self) -> None:
        """ROC on fifty stays: identified, estimated, committed, one in ten cancelled, billed, returned, banked."""
        committed: dict[str, int] = {}
        billed: dict[str, tuple[int, dt.date]] = {}
        returned: dict[str, tuple[int, bool]] = {}
        banked: dict[str, int] = {}
        counted: Counter[str] = Counter()
        with_contract = [one for one in self.world.people if one.nir in self.world.contracts][:STAYS]
        for rank, one in enumerate(with_contract):
            stay, day = f"SEJ-{rank:03d}", self.clock.day.isoformat()
            asked = {"member": one.nir, "stay": stay, "day": day}
            done, _ = self.outside.roc("IDB", self.site, **asked)
            if not done:
                counted["inconnus de l’organisme"] += 1
                continue
            lines = [Line("TM", 180_000, base=180_000, rate=80), Line("FJ", 2_000 * (rank % 9 + 2), days=rank % 9 + 2), Line("CP", 6_500 * 3, days=3)]
            _, estimate = self.outside.roc("SIM", self.site, **asked, lines=lines)
            _, made = self.outside.roc("CLC", self.site, **asked, lines=lines, key=f"{stay}-1")
            if made["amc"] != estimate["amc"]:
                raise RuntimeError("l’engagement diffère de la simulation")
            counted["engagés"] += 1
            if rank % 10 == 3:
                self.outside.roc("DEL", self.site, **asked)
                counted["annulés"] += 1
                continue
            committed[stay] = made["amc"]
            if rank % 12 == 5:
                continue  # not billed yet
            self.outside.roc("DRE", self.site, **asked, amount=made["amc"])
            billed[stay] = (made["amc"], self.clock.day)
            returned[stay] = self.live.simulator.settle_stay(stay)
            if not returned[stay][1]:
                banked[stay] = returned[stay][0]
        told = (
            f"{len(with_contract)} séjours : "
            + ", ".join(f"{count} {name}" for name, count in counted.items())
            + f" ; {_euros(sum(committed.values()))} engagés, au centime près ce qui fut simulé."
        )
        self.steps.append(Step("Part complémentaire (ROC)", told, simulated=True))
        self._matched(
            "Rapprochement à quatre voies : engagement, DRE, retour, banque", matching.match(committed, billed, returned, banked, self.clock.day)
        )


def _scan(rank: int) -> bytes:
    """A page scanned at 150 dots per inch in black and white, unlike the others."""
    out = io.BytesIO()
    page = Image.new("1", (1240, 1754), 1)
    page.putpixel((rank % 1240, rank // 1240), 0)
    page.save(out, "PNG", dpi=(150, 150))
    return out.getvalue()


def play(patients: int = 200, *, seed: int = 3, day: dt.date | None = None, say: Say = lambda text: None) -> Story:
    """Play the whole loop against simulators started for it, count every call, and keep the steps."""
    clock = Clock(day or dt.date.today())
    world = make(patients, clock.day, seed=seed)
    with running(world, now=clock) as live:
        outside = Outside(live.base, SOFTWARE)
        loop = Loop(world, outside, live, clock)
        try:
            for name, done in _steps(loop):
                done()
                say(f"{name} : {loop.steps[-1].told}")
        finally:
            outside.close()
    with transaction.atomic():
        made = Story.objects.create(
            patients=patients, content={"seed": seed, "day": world.day.isoformat(), "steps": [asdict(step) for step in loop.steps]}
        )
        record(by="histoire", action="services.histoire", subject=f"histoire:{made.pk}", patients=patients)
    return made


def _steps(loop: Loop) -> list[tuple[str, Callable[[], None]]]:
    held: dict[str, Any] = {}

    def billing() -> None:
        held["raw"] = loop.check(loop.bill())

    def sending() -> None:
        held["told"] = loop.send(held["raw"])

    def joining() -> None:
        loop.join_pieces(held["raw"], held["told"].accepted)

    def paying() -> None:
        loop.match(held["raw"], loop.be_paid(held["told"].reference))

    return [
        ("Droits", loop.consult),
        ("Factures", billing),
        ("Envoi", sending),
        ("Pièces", joining),
        ("Paiements", paying),
        ("ROC", loop.complementary),
    ]
