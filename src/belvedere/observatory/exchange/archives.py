"""Transfers to the departments' archives: packages of closed files, their replies, and the purge that only a reply allows."""

import calendar
import datetime as dt
import hashlib
import re
from collections.abc import Sequence
from dataclasses import asdict

from django.db import transaction
from django.db.models import Max, QuerySet
from django.utils import timezone

from belvedere.engine.exchange import bag, plainly, seda, strict
from belvedere.engine.exchange.profiles import profiles
from belvedere.engine.exchange.seda import Header, Piece
from belvedere.engine.exchange.vocabulary import DATA, Category, Grain, Purpose
from belvedere.engine.nomenclature.territories import region_of
from belvedere.observatory import pdfseal, printing
from belvedere.observatory.exchange import erasing, events, intake, policy, referentials, vault
from belvedere.observatory.exchange.models import Deposit, DepositState, Party, Person, Resource, RetentionRule, Transfer, TransferState
from belvedere.observatory.journal import sealing
from belvedere.observatory.journal.actions import record
from belvedere.observatory.journal.models import Entry, TreeHead
from belvedere.observatory.tokens import reference

FILE = "sejour"  # the kind of file that is transferred: closed stays
DEFAULT_MONTHS, DEFAULT_FATE = 120, "conserver"
FATES = ("conserver", "trier", "detruire")
GRAINS = ("piece", "dossier")
CONTAINERS = {"seda": seda.package, "bagit": bag.package}
ACCEPTED = (TransferState.ACCEPTED, TransferState.PURGE_ALLOWED)
NEXT: dict[str, frozenset[str]] = {
    TransferState.PREPARED: frozenset({TransferState.SENT}), TransferState.SENT: frozenset({TransferState.ACKNOWLEDGED, TransferState.ACCEPTED, TransferState.REFUSED}),
    TransferState.ACKNOWLEDGED: frozenset({TransferState.ACCEPTED, TransferState.REFUSED}), TransferState.ACCEPTED: frozenset({TransferState.PURGE_ALLOWED}),
    TransferState.REFUSED: frozenset(), TransferState.PURGE_ALLOWED: frozenset(),
}  # fmt: skip


class TransferRefused(Exception):
    """The transfer cannot be made or moved on; says why, in French."""


def rule_of(department: str, day: dt.date) -> RetentionRule:
    """What a department asks of closed files on a day; ten years, kept, in any format, where it said nothing."""
    row = RetentionRule.objects.filter(department=department, kind=FILE, since__lte=day).order_by("-since").first()
    return row or RetentionRule(department=department, kind=FILE, months=DEFAULT_MONTHS, fate=DEFAULT_FATE, since=dt.date.min)


@transaction.atomic
def set_rule(
    *,
    department: str,
    months: int,
    fate: str,
    since: dt.date,
    by: str,
    formats: Sequence[str] = (),
    grain: str = "piece",
    access: str = "ACC-DUI",
    container: str = "seda",
) -> RetentionRule:
    """What a department asks of closed files from a day on (orchestrator reference §4.8): months to keep them, what becomes of them, formats that its
    archives take (all when none is named), one unit a piece or a file, the rule by which they may be read, a SEDA package or, without an electronic system,
    a bag. The rules before it stay, for the files of their time. TransferRefused."""
    if department not in region_of() or not 0 <= months <= 1_200 or fate not in FATES:
        raise TransferRefused(f"Un département connu, une durée de 0 à 1 200 mois, et un sort final : {', '.join(FATES)}.")
    if unknown := sorted(set(formats) - set(seda.FORMATS)):
        raise TransferRefused(f"Format inconnu : {unknown[0][:20]}. Formats d’un versement : {', '.join(seda.FORMATS)}.")
    if formats and (needed := sorted({"json", "pdf"} - set(formats))):
        raise TransferRefused(f"Un versement contient toujours du JSON et un PDF : {', '.join(needed)} manque.")
    if grain not in GRAINS or not re.fullmatch(r"[A-Za-z0-9._-]{1,40}", access):
        raise TransferRefused(f"Une granularité ({', '.join(GRAINS)}) et un code de règle d’accès (lettres, chiffres, points et tirets).")
    if container not in CONTAINERS:
        raise TransferRefused(f"Un paquet : {', '.join(CONTAINERS)}.")
    said = {"months": months, "fate": fate, "formats": ",".join(sorted(formats)), "grain": grain, "access": access, "container": container}
    made, _ = RetentionRule.objects.update_or_create(department=department, kind=FILE, since=since, defaults=said)
    record(by=by, action="echange.conservation", subject=f"departement:{department}", since=since.isoformat(), **said)
    return made


def _after(day: dt.date, months: int) -> dt.date:
    years, month = divmod(day.month - 1 + months, 12)
    return dt.date(day.year + years, month + 1, min(day.day, calendar.monthrange(day.year + years, month + 1)[1]))


def due(party: Party, day: dt.date) -> list[Person]:
    """Persons of an establishment whose stays are all closed for longer than the department keeps them, and not transferred yet, or not what came since."""
    found: dict[int, str] = {}
    for person, end in Resource.objects.filter(establishment=party, profile="tddui-encounter-sejour", current=True, erased=False).values_list(
        "person_id", "facts__end"
    ):
        found[person] = max(found.get(person, ""), end or "9999-12-31")
    gone, rules = _transferred(party), dict[str, int]()

    def over(end: str) -> bool:
        """Whether a file closed that day has been kept long enough, by the rule of that day."""
        closed = dt.date.fromisoformat(end)
        if end not in rules:
            rules[end] = rule_of(party.department, closed).months
        return _after(closed, rules[end]) <= day

    return list(Person.objects.filter(pk__in=[person for person, end in found.items() if person not in gone and end < "9999" and over(end)]))


def _transferred(party: Party) -> set[int]:
    """Persons of an establishment with a transfer under way, or an accepted one that nothing came after."""
    sent = Transfer.objects.filter(establishment=party).exclude(state=TransferState.REFUSED)
    accepted = dict(sent.filter(state__in=ACCEPTED).values_list("person_id").annotate(last=Max("made_at")))
    newest = dict(
        Resource.objects.filter(establishment=party, person__in=accepted, erased=False).values_list("person_id").annotate(last=Max("stored_at"))
    )
    under_way = set(sent.exclude(state__in=ACCEPTED).values_list("person_id", flat=True))
    return under_way | {person for person, at in accepted.items() if person not in newest or newest[person] <= at}


def _kind(raw: bytes) -> str:
    """The extension of an original, told by its first byte."""
    return {b"{": "json", b"P": "zip", b"<": "xml"}.get(raw.lstrip(b"\xef\xbb\xbf \n\r\t")[:1], "csv")


def _held(archives: Party, party: Party, since: dt.datetime) -> QuerySet:
    """Persons whose files the archives accepted since a moment: they hold already what was deposited of them then."""
    return Transfer.objects.filter(archives=archives, establishment=party, state__in=ACCEPTED, made_at__gte=since).values("person")


def _pieces(archives: Party, party: Party, person: Person, name: str, rows: list[Resource], deposits: list[Deposit]) -> list[Piece]:
    contents = [intake.content_of(row) for row in rows]
    whole = strict.canonical({"resourceType": "Bundle", "type": "collection", "entry": [{"resource": content} for content in contents]})
    pieces = [Piece("dossier.json", "Données du dossier clos (FHIR R4)", whole)]
    before = Resource.objects.filter(person=person, establishment=party, current=False, erased=False).order_by("uid", "version")
    if older := [intake.content_of(row) for row in before]:
        pieces.append(
            Piece(
                "versions.json",
                "Versions antérieures",
                strict.canonical({"resourceType": "Bundle", "type": "collection", "entry": [{"resource": row} for row in older]}),
            )
        )
    # A deposit may speak of several persons: what is archived of it is this person's part, above, with the digest of the whole in the proof, until the
    # archives hold the others.
    for deposit in deposits:
        raw = intake.original(deposit)
        others = deposit.spoken_of.exclude(person=person).exclude(person__in=_held(archives, party, deposit.received_at))
        if raw and deposit.all_known and not others.exists():
            pieces.append(Piece(f"depot-{deposit.reference}.{_kind(raw)}", f"Dépôt d’origine {deposit.reference}, octet pour octet", raw))
    head = TreeHead.objects.last()
    entries = Entry.objects.filter(pk__in=[deposit.place for deposit in deposits])
    proof = {
        "dossier": hashlib.sha256(whole).hexdigest(), "depots": [{"reference": d.reference, "sha256": d.sha256, "recu": d.received_at.isoformat()} for d in deposits],
        "journal": [{"entree": entry.pk, "empreinte": entry.digest, "preuve": sealing.proof(entry.pk) if head else None} for entry in entries],
        "tete": asdict(sealing.signed(head)) if head else None,
    }  # fmt: skip
    named = referentials.displays()
    lines = [
        {
            "title": profiles()[row.profile].title,
            "when": printing.day(row.day) if row.day else "",
            "lines": plainly.lines(content, named),
        }
        for row, content in zip(rows, contents, strict=True)
    ]
    pdf = printing.render(
        "belvedere.observatory.exchange.texts",
        "dossier.typ",
        {"reference": name, "establishment": party.name, "finess": party.finess, "digest": proof["dossier"], "rows": lines},
        archive=True,
    )
    sealed = pdfseal.seal(pdf, proof, name=party.name, reason=f"Versement {name}")
    return [
        *pieces,
        Piece("rendu.pdf", "Rendu lisible, signé et horodaté", sealed),
        Piece("preuve.json", "Empreintes, entrées du journal et tête signée", strict.canonical(proof)),
    ]


@transaction.atomic
def prepare(*, party: Party, person: Person, by: str, day: dt.date | None = None) -> Transfer:
    """The package of a closed file for the archives of its department. TransferRefused: still open, kept longer, or no archives admitted."""
    today = day or timezone.localdate()
    if person not in due(party, today):
        raise TransferRefused("Ce dossier n’est pas clos, ou sa durée d’utilité administrative court encore.")
    archives = Party.objects.filter(actor="ARCHIVES_DEPARTEMENTALES", department=party.department, admitted=True).first()
    if archives is None:
        raise TransferRefused("Les archives de ce département ne sont pas admises sur la plateforme.")
    rows = list(Resource.objects.filter(person=person, establishment=party, current=True, erased=False).order_by("day", "pk"))
    deposits = list(Deposit.objects.filter(spoken_of__person=person, party=party).exclude(state=DepositState.REFUSED).order_by("received_at"))
    name, now = reference("V", 4, 4), timezone.now()
    stays = [row for row in rows if row.profile == "tddui-encounter-sejour"]
    rule = rule_of(party.department, max(dt.date.fromisoformat(row.facts["end"]) for row in stays))  # of the day it was closed
    if rule.fate == "detruire":
        raise TransferRefused("Dans ce département ces dossiers se détruisent au terme de leur durée : ils ne se versent pas.")
    header = Header(
        name, now, party.finess, f"AD-{party.department}", f"Dossier clos {name}", min(dt.date.fromisoformat(row.facts["start"]) for row in stays),
        max(dt.date.fromisoformat(row.facts["end"]) for row in stays), rule.fate, rule.grain, rule.access,
    )  # fmt: skip
    pieces = _pieces(archives, party, person, name, rows, deposits)
    taken = rule.formats.split(",") if rule.formats else list(seda.FORMATS)
    if strange := next((piece.name for piece in pieces if piece.name.rsplit(".", 1)[-1] not in taken), ""):
        raise TransferRefused(f"Les archives de ce département ne prennent pas ce format : {strange}. Rien n’est versé sans son original.")
    raw = CONTAINERS[rule.container](header, pieces)
    made = Transfer.objects.create(
        reference=name, establishment=party, archives=archives, person=person, state=TransferState.PREPARED, package=vault.seal(raw, f"versement:{name}"),
        sha256=hashlib.sha256(raw).hexdigest(), units=len(pieces), made_at=now,
    )  # fmt: skip
    record(by=by, action="echange.versement.prepare", subject=f"versement:{name}", sha256=made.sha256, units=made.units, fate=rule.fate)
    return made


@transaction.atomic
def move(transfer: Transfer, state: str, *, by: str, reply: dict | None = None, message: bytes = b"") -> Transfer:
    """Move a transfer on, with the message that moved it (kept sealed: archives write what they like there); TransferRefused when its state does
    not lead there."""
    row = Transfer.objects.select_for_update().get(pk=transfer.pk)
    if state not in NEXT[row.state]:
        raise TransferRefused(f"Un versement « {row.get_state_display().lower()} » ne passe pas à « {TransferState(state).label.lower()} ».")
    row.state = state
    if reply is not None:
        row.reply = reply
    if message:
        row.message = vault.seal(message, f"reponse:{row.reference}")
    row.save()
    record(
        by=by, action=f"echange.versement.{state}", subject=f"versement:{row.reference}", **({"units": len(reply.get("units", []))} if reply else {})
    )
    if state in (TransferState.ACCEPTED, TransferState.REFUSED):
        events.raise_(topic="versement-clos", establishment=row.establishment, person=row.person, focus=f"versements/{row.reference}")
    return row


def package(transfer: Transfer, *, by: str) -> bytes:
    """The package as the archives take it; the taking is told to the journal, and moves the transfer on."""
    opening = policy.opened(transfer.archives, Purpose.ARCHIVING, Category.HEALTH, Grain.NAMED, also=DATA)
    if opening is None:
        raise TransferRefused("Aucune ligne de la matrice n’ouvre ces dossiers aux archives.")
    raw = vault.unseal(transfer.package, f"versement:{transfer.reference}")
    if transfer.state == TransferState.PREPARED:
        move(transfer, TransferState.SENT, by=by)
    with transaction.atomic():
        record(
            by=by,
            action="echange.versement",
            subject=f"usager:{transfer.person_id}",
            purpose="ARCHIVAGE",
            profiles=["dossier clos"],
            reference=transfer.reference,
            grain=Grain.NAMED,
            **opening.told,
        )
    return raw


@transaction.atomic
def purge(transfer: Transfer, *, by: str) -> int:
    """Erase the source copy of an accepted transfer, by the establishment's decision. TransferRefused before the archives accepted."""
    Party.objects.select_for_update(of=("self",), no_key=True).get(pk=transfer.establishment_id)  # before its transfers, as an erasure does
    transfer = Transfer.objects.select_for_update(of=("self",), no_key=True).select_related("person", "establishment").get(pk=transfer.pk)
    since = Resource.objects.filter(person=transfer.person, establishment=transfer.establishment, erased=False, stored_at__gt=transfer.made_at)
    if since.exists():
        raise TransferRefused("Des données sont arrivées depuis ce versement : versez-les d’abord, rien n’est effacé sans être archivé.")
    row = move(transfer, TransferState.PURGE_ALLOWED, by=by)
    done = erasing.erase(person=row.person, party=row.establishment, by=by, why=f"versement {row.reference} accepté")
    Transfer.objects.filter(pk=row.pk).update(purged_at=timezone.now(), package=b"")
    return done
