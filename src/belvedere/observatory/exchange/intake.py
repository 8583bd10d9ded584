"""A deposit, from its bytes to its answer: all of it or nothing, once, in one transaction with its events and its journal entry."""

import datetime as dt
import json
import re
import uuid
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from django.db import IntegrityError, transaction
from django.utils import timezone

from belvedere.engine.exchange import bundle, checks, rules, strict, structure
from belvedere.engine.exchange.bundle import Deposited, Entry
from belvedere.engine.exchange.rules import Remark
from belvedere.engine.exchange.vocabulary import Statement
from belvedere.observatory.exchange import events, policy, referentials, vault
from belvedere.observatory.exchange.models import Deposit, DepositState, Event, Party, Person, Resource
from belvedere.observatory.exchange.naming import own_key, person_token
from belvedere.observatory.journal.actions import record
from belvedere.observatory.tokens import reference

SUBJECTS = ("subject", "patient", "for", "beneficiary")
MOST_REMARKS = 100
TRIES = 3


@dataclass
class Answer:
    """What the depositor is answered: HTTP status, FHIR body, headers, and the deposit when there is one."""

    status: int
    body: dict[str, Any]
    headers: dict[str, str] = field(default_factory=dict)
    deposit: Deposit | None = None


def examine(party: Party, raw: bytes) -> tuple[dict, Deposited, list[Remark]]:
    """The content of a deposit, its entries and everything the rules say of it; nothing is stored."""
    try:
        content = strict.parse(raw)
    except strict.Malformed as error:
        return {}, Deposited(), [Remark(error.rule, "", error.what[:80])]
    deposited, remarks = bundle.read(content)
    if not remarks:
        remarks = structure.check(deposited)
    if not remarks:
        remarks = bundle.unresolved(deposited, lambda address: _stored_type(party, address))
        remarks += checks.check(deposited, referentials.known_to(party, deposited))
    return content, deposited, remarks[:MOST_REMARKS]


def _stored_type(party: Party, address: str) -> str | None:
    kind, _, uid = address.rpartition("/")
    found = Resource.objects.filter(uid=uid, establishment=party, current=True, erased=False).values_list("type", flat=True).first()
    return found if found and kind.rsplit("/", 1)[-1] == found else None


def validate(party: Party, raw: bytes) -> Answer:
    """The dry run: the same rules, nothing stored."""
    _, deposited, remarks = examine(party, raw)
    count = len(deposited.entries)
    return Answer(200, rules.outcome(remarks, f"Ce dépôt serait accepté : {count} ressources, aucune remarque."))


# Thirteen characters that could be somebody's number: an identifier that holds them is kept as a token.
_PERSONAL = re.compile(r"[1-478]\d{4}(?:\d{2}|2[AB])\d{6}", re.IGNORECASE)


def _identifier(content: Mapping, given: str, sha: str) -> str:
    named = content.get("identifier")
    value = named.get("value") if isinstance(named, Mapping) else ""
    told = given or str(value or "") or sha
    return vault.token("depot", told)[:32] if _PERSONAL.search(re.sub(r"[^0-9A-Za-z]", "", told)) and told != sha else told[:200]


def _refuse(party: Party, sha: str, identifier: str, remarks: list[Remark], software: str, channel: str) -> Answer:
    with transaction.atomic():
        made = Deposit.objects.create(
            reference=reference("D", 4, 4), party=party, channel=channel, identifier=identifier, sha256=sha, state=DepositState.REFUSED, software=software[:80],
            received_at=timezone.now(), remarks=_told(remarks),
        )  # fmt: skip
        place = record(
            by=party.code, action="echange.depot.refuse", subject=f"depot:{made.reference}", rules=sorted({remark.rule for remark in remarks})
        )
        Deposit.objects.filter(pk=made.pk).update(place=place.number)
        events.raise_(topic="depot-refuse", establishment=party, deposit=made, focus=f"depots/{made.reference}")
    status = (
        413
        if any(remark.rule in ("tddui-json-02", "tddui-bundle-02") for remark in remarks)
        else 400
        if remarks[0].rule.startswith("tddui-json")
        else 422
    )
    return Answer(status, rules.outcome(remarks), {"Recepisse": made.reference}, made)


def _told(remarks: list[Remark]) -> list[dict[str, str]]:
    return [{"rule": remark.rule, "where": remark.where, "detail": remark.detail} for remark in remarks]


def receive(party: Party, raw: bytes, *, key: str = "", software: str = "", channel: str = "fhir", original: bytes = b"") -> Answer:
    """Take a transaction; `original` is what it was read from, when it came by another door, and is what is kept byte for byte. The same identifier with the same content is answered as the first time; with another content it is a conflict (409)."""
    sha = strict.digest(raw)
    content, deposited, remarks = examine(party, raw)
    identifier = _identifier(content, key, sha)
    if before := _before(party, identifier):
        return _again(before, sha)
    if rules.refuses(remarks):
        return _refuse(party, sha, identifier, remarks, software, channel)
    for turn in range(TRIES + 1):
        ready = _prepare(party, original or raw, deposited) if turn < TRIES else None
        try:
            with transaction.atomic():
                if ready is None:  # others rectify the same resources all the time: make it ready while they wait
                    Party.objects.select_for_update(of=("self",)).get(pk=party.pk)
                    ready = _prepare(party, original or raw, deposited)
                return _store(party, sha, identifier, deposited, remarks, software, channel, ready)
        except _Moved:
            continue
        except IntegrityError:
            # The same deposit arrived twice at once: the other one was first.
            before = _before(party, identifier)
            if before is None:
                raise
            return _again(before, sha)
    raise RuntimeError("unreachable: the last turn holds the party")


def _before(party: Party, identifier: str) -> Deposit | None:
    return Deposit.objects.filter(party=party, identifier=identifier).exclude(state=DepositState.REFUSED).first()


def _again(before: Deposit, sha: str) -> Answer:
    if before.sha256 == sha:
        return Answer(200, before.answer, {"X-Deja-Recu": "1", "Recepisse": before.reference}, before)
    body = {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "conflict", "diagnostics": f"Cet identifiant de dépôt a déjà servi à un autre contenu ({before.reference}). Changez Bundle.identifier, ou renvoyez le même contenu."}]}  # fmt: skip
    return Answer(409, body, {"Recepisse": before.reference}, before)


def _subject(entry: Entry, deposited: Deposited) -> Entry | str | None:
    """The patient entry that a resource is about, or the address of one deposited before."""
    if entry.profile.type == "Patient":
        return entry
    for name in SUBJECTS:
        if isinstance(held := entry.resource.get(name), Mapping) and isinstance(address := held.get("reference"), str):
            return deposited.addresses.get(address) or address
    for name in ("encounter", "partOf"):
        target = deposited.target(entry.resource.get(name))
        if target is not None and target is not entry:
            return _subject(target, deposited)
    return None


def coded_facts(entry: Entry) -> dict[str, Any]:
    """Coded values of a resource that datasets and counts read: no name, number, address or text."""
    resource = entry.resource
    if entry.profile.type == "Patient":
        return {"year": str(resource.get("birthDate", ""))[:4], "sex": resource.get("gender", "unknown")}
    if entry.profile.type == "Encounter":
        period = resource.get("period", {})
        return {"start": str(period.get("start", ""))[:10], "end": str(period.get("end", ""))[:10], "status": resource.get("status", "")}
    if entry.profile.type == "QuestionnaireResponse":
        answers = dict(checks.answers_in(resource.get("item", [])))
        gir = checks.GIRS.get((answers.get("resultat-eval", {}).get("valueCoding") or {}).get("code"))
        name = str(resource.get("questionnaire", "")).rsplit("/", 1)[-1]
        told: dict[str, Any] = {"questionnaire": name, "day": str(resource.get("authored", ""))[:10]}
        if gir:
            told["gir"] = gir
        if "situation" in name:
            told["situation"] = sorted(link for link, answer in answers.items() if answer.get("valueBoolean") is True)
        return told
    if entry.profile.type in ("Task", "ServiceRequest"):
        return {"codes": sorted({str(item.get("code")) for item in (resource.get("code") or {}).get("coding", [])})}
    return {}


def _day(entry: Entry):  # type: ignore[no-untyped-def]
    told = checks.moment(entry.resource.get("authored") or (entry.resource.get("period") or {}).get("start") or entry.resource.get("dateTime"))
    return told.date() if told else None


def _people(party: Party, deposited: Deposited) -> dict[int, Person]:
    """The person of each entry, by place: made when it is new."""
    tokens: dict[int, str] = {}
    stored: dict[int, Person] = {}
    for entry in deposited.entries:
        about = _subject(entry, deposited)
        if isinstance(about, Entry):
            tokens[entry.place] = person_token(checks.person_key(about.resource, party.finess))
        elif isinstance(about, str):
            found = Resource.objects.filter(uid=about.rpartition("/")[2], establishment=party, current=True).select_related("person").first()
            if found and found.person:
                stored[entry.place] = found.person
    names = set(tokens.values())
    Person.objects.bulk_create([Person(token=name) for name in sorted(names)], ignore_conflicts=True)
    people = {person.token: person for person in Person.objects.filter(token__in=names)}
    return stored | {place: people[name] for place, name in tokens.items()}


class _Moved(Exception):
    """What the deposit rectifies changed while it was made ready: start again."""


@dataclass
class _Ready:
    """A deposit made ready outside its transaction, so that the writing holds the database a few milliseconds only."""

    reference: str
    at: dt.datetime
    original: bytes
    keys: dict[int, str]
    before: "dict[str, _Known]"
    places: dict[str, tuple[str, int]]  # own key: address, version
    rows: list[Resource]  # new, or changed


class _Known(NamedTuple):
    """The version in force of a resource."""

    pk: int
    uid: str
    version: int
    digest: str


def _current(party: Party, keys: Iterable[str]) -> dict[str, _Known]:
    rows = Resource.objects.filter(own_key__in=set(keys), establishment=party, current=True)
    return {key: _Known(*held) for key, *held in rows.values_list("own_key", "pk", "uid", "version", "digest")}


def _prepare(party: Party, raw: bytes, deposited: Deposited) -> _Ready:
    """Name, rewrite and seal every resource of a deposit."""
    now, name = timezone.now(), reference("D", 4, 4)
    keys = {entry.place: own_key(entry.profile.type, entry.resource, party) for entry in deposited.entries}
    before = _current(party, keys.values())
    ids: dict[str, str] = {}
    for key in keys.values():
        ids.setdefault(key, before[key].uid if key in before else str(uuid.uuid4()))
    renamed = {address: f"{entry.profile.type}/{ids[keys[entry.place]]}" for address, entry in deposited.addresses.items()}
    # A deposit may say the same thing twice under two addresses: its last word is kept.
    last = {keys[entry.place]: entry for entry in deposited.entries}
    rows, places = [], {}
    for entry in deposited.entries:
        key = keys[entry.place]
        if last[key] is not entry:
            continue
        content = bundle.rewritten(entry.resource, renamed) | {"id": ids[key]}
        digest = vault.token("contenu", strict.canonical(content).decode())
        if key in before and before[key].digest == digest:
            places[key] = (ids[key], before[key].version)  # said again: nothing to write
            continue
        version = before[key].version + 1 if key in before else 1
        places[key] = (ids[key], version)
        content["meta"] = {**(entry.resource.get("meta") or {}), "versionId": str(version), "lastUpdated": now.isoformat()}
        rows.append(Resource(
            type=entry.profile.type, uid=ids[key], version=version, profile=entry.profile.name, establishment=party, own_key=key, day=_day(entry), facts=coded_facts(entry),
            content=vault.seal(strict.canonical(content), ids[key]), digest=digest, stored_at=now,
        ))  # fmt: skip
    return _Ready(name, now, vault.seal(raw, f"depot:{name}"), keys, before, places, rows)


def _store(
    party: Party, sha: str, identifier: str, deposited: Deposited, remarks: list[Remark], software: str, channel: str, ready: _Ready,
) -> Answer:  # fmt: skip
    """Write a deposit that is ready, inside the caller's transaction."""
    if _current(party, ready.keys.values()) != ready.before:
        raise _Moved
    people = _people(party, deposited)
    made = Deposit(
        reference=ready.reference, party=party, channel=channel, identifier=identifier, sha256=sha, software=software[:80], received_at=ready.at,
        state=DepositState.REMARKS if remarks else DepositState.ACCEPTED, remarks=_told(remarks),
        counts=dict(Counter(entry.profile.type for entry in deposited.entries)), original=ready.original,
    )  # fmt: skip
    made.answer = {
        "resourceType": "Bundle", "type": "transaction-response",
        "entry": [
            {"response": {"status": "201 Created", "location": f"{entry.profile.type}/{uid}/_history/{version}", "etag": f'W/"{version}"', "lastModified": ready.at.isoformat()}}
            for entry in deposited.entries
            for uid, version in (ready.places[ready.keys[entry.place]],)
        ],
    }  # fmt: skip
    made.save(force_insert=True)
    # What a person says holds before anything else of the same deposit is told to anybody.
    for entry in deposited.of_profile("tddui-consent-accord"):
        if entry.place in people:
            agreed = checks.consent_rule(entry.resource) == "OPTIN"
            policy.state(
                person=people[entry.place], kind=Statement.AGREEMENT if agreed else Statement.OPPOSITION, by=party.code,
                at=min(checks.moment(entry.resource["dateTime"]) or ready.at, ready.at), proof=f"dépôt {made.reference}",
            )  # fmt: skip
            Event.objects.create(
                topic="consentement-modifie",
                at=ready.at,
                establishment=party,
                person=people[entry.place],
                deposit=made,
                focus=f"depots/{made.reference}",
            )
    changed = {row.own_key for row in ready.rows} & ready.before.keys()
    if changed:
        Resource.objects.filter(pk__in=[ready.before[key].pk for key in changed]).update(current=False)
    whose = {ready.keys[place]: person for place, person in people.items()}
    for row in ready.rows:
        row.deposit, row.person = made, whose.get(row.own_key)
    stored = Resource.objects.bulk_create(ready.rows)
    events.of_deposit(made, stored, {ready.before[key].uid for key in changed})
    place = record(
        by=party.code, action="echange.depot", subject=f"depot:{made.reference}", sha256=sha, resources=len(stored), persons=len({p.pk for p in people.values()}),
        software=software[:80], rectified=len(changed),
    )  # fmt: skip
    made.place = place.number
    Deposit.objects.filter(pk=made.pk).update(place=place.number)
    return Answer(200, made.answer, {"Recepisse": made.reference}, made)


def original(deposit: Deposit) -> bytes:
    """The deposit byte for byte; b"" when it was refused or erased."""
    return vault.unseal(deposit.original, f"depot:{deposit.reference}") if deposit.original else b""


def content_of(resource: Resource) -> dict[str, Any]:
    """A stored resource in clear, in memory; an erased one keeps its address alone."""
    if resource.erased:
        return {"resourceType": resource.type, "id": resource.uid, "meta": {"versionId": str(resource.version)}}
    return json.loads(vault.unseal(resource.content, resource.uid))
