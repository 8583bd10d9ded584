"""The journal's entries about exchanges: as AuditEvent, and as a person reads them: who received what about it."""

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from django.db.models import Count, QuerySet
from django.db.models.functions import TruncMonth
from django.utils import timezone

from belvedere.engine.exchange.profiles import profiles
from belvedere.engine.exchange.topics import topics
from belvedere.engine.exchange.vocabulary import ACTORS, PURPOSES, Grain
from belvedere.observatory.exchange import naming, vault
from belvedere.observatory.exchange.models import Party, Person
from belvedere.observatory.journal.models import Entry

MOST = 1_000
KINDS = {
    "echange.depot": ("rest", "create", "Dépôt"), "echange.depot.refuse": ("rest", "create", "Dépôt refusé"), "echange.lecture": ("rest", "read", "Lecture"),
    "echange.lecture.refusee": ("rest", "read", "Lecture refusée"), "echange.notification": ("rest", "read", "Notification"), "echange.jeu": ("rest", "read", "Jeu de données"),
    "echange.export": ("rest", "read", "Export"), "echange.versement": ("rest", "read", "Versement aux archives"),
    "echange.acces.refuse": ("rest", "execute", "Accès refusé"), "echange.efface": ("rest", "delete", "Effacement"),
}  # fmt: skip
RECEIVED = ("echange.lecture", "echange.notification", "echange.jeu", "echange.export", "echange.versement")


def between(low: dt.datetime, high: dt.datetime, *, party: str = "") -> QuerySet[Entry]:
    """Entries about exchanges between two instants, the newest first; those of one party when it is named."""
    found = Entry.objects.filter(action__startswith="echange.", at__gte=low, at__lte=high)
    return (found.filter(actor=party) if party else found).order_by("-id")


def audit_event(entry: Entry, reader: str) -> dict:
    """An entry as an AuditEvent for a reader: persons bear names that are this reader's alone."""
    kind, subtype, label = KINDS.get(entry.action, ("rest", "execute", entry.action))
    subject = _hidden(entry.subject, reader)
    refused = entry.action.endswith("refuse") or entry.action.endswith("refusee")
    purpose = entry.detail.get("purpose")
    return {
        "resourceType": "AuditEvent", "id": str(entry.pk), "type": {"system": "http://terminology.hl7.org/CodeSystem/audit-event-type", "code": kind},
        "subtype": [{"system": "http://hl7.org/fhir/restful-interaction", "code": subtype, "display": label}], "recorded": entry.at.isoformat(),
        "period": {"start": entry.at.isoformat(), "end": entry.at.isoformat()}, "outcome": "4" if refused else "0",
        **({"purposeOfEvent": [{"text": PURPOSES.get(purpose, str(purpose))}]} if purpose else {}),
        "agent": [{"who": {"identifier": {"value": entry.actor}}, "requestor": True}, {"who": {"display": "Belvédère"}, "requestor": False}],
        "source": {"observer": {"display": "Belvédère"}}, "entity": [{"what": {"identifier": {"value": subject}}, "detail": _details(entry.detail, reader)}],
    }  # fmt: skip


@dataclass(frozen=True)
class Use:
    """What one actor did for one purpose in a month: acts told to the journal, refused ones apart; no person is counted."""

    month: str
    who: str
    label: str
    purpose: str
    acts: int
    refused: int


def uses(months: int = 3, *, now: dt.datetime | None = None) -> list[Use]:
    """The secondary use of traces (recommendation 8.1.3): readings, notifications, datasets and exports by month, actor and purpose, the newest month first."""
    since = (now or timezone.now()) - dt.timedelta(days=31 * months)
    rows = Entry.objects.filter(action__in=(*RECEIVED, "echange.lecture.refusee"), at__gte=since)
    counted = rows.annotate(month=TruncMonth("at")).values("month", "actor", "action", "detail__purpose").annotate(acts=Count("pk")).order_by()
    found: dict[tuple[str, str, str, str], list[int]] = {}
    for row in counted:
        kind = row["action"].removesuffix(".refusee")
        held = found.setdefault((f"{row['month']:%Y-%m}", row["actor"], KINDS[kind][2], row["detail__purpose"] or ""), [0, 0])
        held[row["action"] != kind] += row["acts"]
    names = _names(key[1] for key in found)
    told = [
        Use(month, str(names.get(actor, actor)), label, PURPOSES.get(purpose, "") if purpose else "", acts, refused)
        for (month, actor, label, purpose), (acts, refused) in found.items()
    ]
    return sorted(sorted(told, key=lambda use: (use.who, use.label, use.purpose)), key=lambda use: use.month, reverse=True)


def _hidden(text: str, reader: str) -> str:
    return f"usager:{vault.pseudonym(reader, text)}" if text.startswith("usager:") else text


def _details(detail: Mapping, reader: str) -> list[dict[str, str]]:
    told = {name: ", ".join(map(str, value)) if isinstance(value, list) else str(value) for name, value in sorted(detail.items())}
    return [{"type": name, "valueString": _hidden(text, reader)[:300]} for name, text in told.items() if text]  # R4 has no empty string


def recipients(person: Person) -> dict[str, Grain]:
    """Who received data of a person (codes of parties), and how finely at best."""
    rows = Entry.objects.filter(subject__in=[f"usager:{number}" for number in naming.numbers(person)], action__in=RECEIVED)
    found: dict[str, Grain] = {}
    for code, grain in rows.values_list("actor", "detail__grain").distinct():
        if found.get(code) != Grain.NAMED:
            found[code] = Grain.NAMED if grain == Grain.NAMED else Grain.PSEUDONYM
    return found


def received(person: Person) -> list[dict[str, object]]:
    """What was told about a person, the newest first: when, to whom, why, which data, by which rules."""
    rows = Entry.objects.filter(subject__in=[f"usager:{number}" for number in naming.numbers(person)], action__in=RECEIVED).order_by("-id")[:MOST]
    names = _names(row.actor for row in rows)
    titles = {profile.name: profile.title for profile in profiles().values()}
    return [
        {
            "at": row.at, "who": names.get(row.actor, row.actor), "how": KINDS[row.action][2], "why": PURPOSES.get(row.detail.get("purpose"), ""),
            "what": ", ".join(sorted({titles.get(name, name) for name in row.detail.get("profiles", [])})) or (f"avis : {topics()[row.detail['topic']].label.lower()}" if row.detail.get("topic") in topics() else ""),
            "rules": ", ".join(row.detail.get("rules", [])),
        }
        for row in rows
    ]  # fmt: skip


def _names(codes: Iterable[str]) -> dict[str, str]:
    numbers = {code.removeprefix("acteur-") for code in codes if code.startswith("acteur-")}
    return {
        party.code: f"{party.name} ({ACTORS[party.actor].lower()})" for party in Party.objects.filter(pk__in=[n for n in numbers if n.isdecimal()])
    }
