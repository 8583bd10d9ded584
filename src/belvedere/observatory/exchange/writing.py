"""A deposit made ready outside its transaction, then written in a few milliseconds with its events and its journal entry."""

import datetime as dt
import uuid
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from django.utils import timezone

from belvedere.engine.exchange import bundle, statements, strict
from belvedere.engine.exchange.bundle import Deposited, Entry
from belvedere.engine.exchange.profiles import BARE
from belvedere.engine.exchange.rules import Refused, Remark
from belvedere.observatory.exchange import events, facts, policy, vault
from belvedere.observatory.exchange.models import Deposit, DepositPerson, DepositState, Party, Person, Resource
from belvedere.observatory.exchange.naming import own_key, own_names
from belvedere.observatory.journal.actions import record
from belvedere.observatory.tokens import reference


class Moved(Exception):
    """What the deposit rectifies changed while it was made ready: start again."""


class Known(NamedTuple):
    """The version in force of a resource."""

    pk: int
    uid: str
    version: int
    digest: str
    person: int | None


@dataclass
class Ready:
    """Everything of a deposit that can be made before the database is held."""

    reference: str
    at: dt.datetime
    original: bytes
    people: dict[int, Person]  # by place of the entry
    keys: dict[int, str]  # own keys, by place
    before: dict[str, Known]
    places: dict[str, tuple[str, int]]  # own key: uid, version
    rows: list[Resource]  # new, or changed


TYPED = frozenset({"tddui-json-01", "tddui-json-03"})  # rules whose detail repeats what was written, which may name somebody


def told(remarks: list[Remark]) -> list[dict[str, str]]:
    """Remarks as they are stored."""
    return [{"rule": remark.rule, "where": remark.where, "detail": "" if remark.rule in TYPED else remark.detail} for remark in remarks]


def _said(entry: Entry, renamed: Mapping[str, str]) -> dict:
    """What a resource says, its own number in the deposit apart."""
    return {name: value for name, value in bundle.rewritten(entry.resource, renamed).items() if name != "id"}


def _current(party: Party, keys: Iterable[str]) -> dict[str, Known]:
    rows = Resource.objects.filter(own_key__in=set(keys), establishment=party, current=True)
    return {key: Known(*held) for key, *held in rows.values_list("own_key", "pk", "uid", "version", "digest", "person")}


def prepare(party: Party, original: bytes, deposited: Deposited, people: dict[int, Person]) -> Ready:
    """Name, rewrite and seal every resource of a deposit. `rules.Refused`."""
    now, name = timezone.now(), reference("D", 4, 4)
    names = own_names(people.values())
    keys = {
        entry.place: own_key(entry.profile.type, entry.resource, party, names[people[entry.place].pk] if entry.place in people else "")
        for entry in deposited.entries
    }  # fmt: skip
    before = _current(party, keys.values())
    ids: dict[str, str] = {}
    for entry in deposited.entries:
        known = before.get(keys[entry.place])
        if known and known.person != (people[entry.place].pk if entry.place in people else None):
            raise Refused("tddui-resource-03", entry.where)
        ids.setdefault(keys[entry.place], known.uid if known else str(uuid.uuid4()))
    renamed = {address: f"{entry.profile.type}/{ids[keys[entry.place]]}" for address, entry in deposited.addresses.items()}
    # A deposit may say a thing twice under two addresses, and somebody, or a place, better the second time: the last word is kept. Of two other things
    # under one identifier, one would be lost.
    last: dict[str, Entry] = {}
    for entry in deposited.entries:
        other = last.get(keys[entry.place])
        if other is not None and entry.profile.type not in (*BARE, "Patient") and _said(other, renamed) != _said(entry, renamed):
            raise Refused("tddui-resource-05", entry.where)
        last[keys[entry.place]] = entry
    rows, places, seal = [], {}, vault.sealer()
    for key, entry in last.items():
        content = bundle.rewritten(entry.resource, renamed) | {"id": ids[key]}
        digest = vault.token("contenu", strict.canonical(content).decode())
        if key in before and before[key].digest == digest:
            places[key] = (ids[key], before[key].version)  # said again: nothing to write
            continue
        version = before[key].version + 1 if key in before else 1
        places[key] = (ids[key], version)
        content["meta"] = {**(entry.resource.get("meta") or {}), "versionId": str(version), "lastUpdated": now.isoformat()}
        rows.append(Resource(
            type=entry.profile.type, uid=ids[key], version=version, profile=entry.profile.name, establishment=party, own_key=key, day=facts.day_of(entry, deposited),
            facts=facts.coded(entry), content=seal(strict.canonical(content), ids[key]), digest=digest, stored_at=now, person=people.get(entry.place),
        ))  # fmt: skip
    return Ready(name, now, seal(original, f"depot:{name}"), people, keys, before, places, rows)


def _answer(deposited: Deposited, ready: Ready) -> dict:
    return {
        "resourceType": "Bundle", "type": "transaction-response",
        "entry": [
            {"response": {"status": "201 Created", "location": f"{entry.profile.type}/{uid}/_history/{version}", "etag": f'W/"{version}"', "lastModified": ready.at.isoformat()}}
            for entry in deposited.entries
            for uid, version in (ready.places[ready.keys[entry.place]],)
        ],
    }  # fmt: skip


def _state(party: Party, deposited: Deposited, ready: Ready, made: Deposit) -> None:
    """Write what persons say. What a deposit only repeats says nothing new."""
    written = {row.own_key for row in ready.rows}
    for entry in deposited.of_profile("tddui-consent-accord"):
        terms = statements.consent_terms(entry.resource)
        if terms is not None and entry.place in ready.people and ready.keys[entry.place] in written:
            spoke = deposited.target((entry.resource.get("performer") or [{}])[0])
            by = statements.speaker(entry.resource, spoke.profile.type if spoke else "")
            policy.state(
                person=ready.people[entry.place], terms=terms, party=party, said_by=by, now=ready.at, proof=f"dépôt {made.reference}", deposit=made
            )


def store(party: Party, deposited: Deposited, remarks: list[Remark], ready: Ready, *, imputed: str = "", **said: str) -> Deposit:
    """Write a deposit that is ready, inside the caller's transaction; `said`: identifier, sha256, software, channel; `imputed`: the professional who acted. Moved, `rules.Refused`.

    The party's row is held: two deposits of one establishment are written one after the other, on PostgreSQL as on SQLite."""
    # Not its key: a refusal that commits at the same moment checks its foreign key on this very row, and would wait for us while we wait for its journal.
    Party.objects.select_for_update(of=("self",), no_key=True).get(pk=party.pk)
    if _current(party, ready.keys.values()) != ready.before:
        raise Moved
    _look_for_opened(party, ready)
    made = Deposit(
        reference=ready.reference, party=party, received_at=ready.at, state=DepositState.REMARKS if remarks else DepositState.ACCEPTED, remarks=told(remarks),
        counts=dict(Counter(entry.profile.type for entry in deposited.entries)), original=ready.original, answer=_answer(deposited, ready), **said,
    )  # fmt: skip
    made.save(force_insert=True)
    DepositPerson.objects.bulk_create([DepositPerson(deposit=made, person_id=number) for number in sorted({one.pk for one in ready.people.values()})])
    # What a person says holds before anything else of the same deposit is told to anybody.
    _state(party, deposited, ready, made)
    changed = {row.own_key for row in ready.rows} & ready.before.keys()
    closed: set[str] = set()
    if changed:
        ended = Resource.objects.filter(pk__in=[ready.before[key].pk for key in changed], profile="tddui-encounter-sejour").exclude(facts__end="")
        closed = set(ended.values_list("uid", flat=True))
        Resource.objects.filter(pk__in=[ready.before[key].pk for key in changed]).update(current=False)
    for row in ready.rows:
        row.deposit = made
    stored = Resource.objects.bulk_create(ready.rows)
    events.of_deposit(made, stored, {ready.before[key].uid for key in changed}, closed)
    made.place = record(
        by=party.code, action="echange.depot", subject=f"depot:{made.reference}", sha256=made.sha256, resources=len(stored), persons=len({p.pk for p in ready.people.values()}),
        software=made.software, rectified=len(changed), **({"person": imputed} if imputed else {}),
    ).number  # fmt: skip
    Deposit.objects.filter(pk=made.pk).update(place=made.place)
    return made


def _look_for_opened(party: Party, ready: Ready) -> None:
    """Whether another deposit opened a stay of one of these persons since the rules were asked. `rules.Refused`."""
    stays = {row.person_id: row.own_key for row in ready.rows if row.profile == "tddui-encounter-sejour" and facts.opens(row.facts)}
    if not stays:
        return
    held = Resource.objects.filter(person__in=stays, establishment=party, profile="tddui-encounter-sejour", current=True, erased=False)
    own = set(ready.keys.values())
    for person, key, told in held.values_list("person", "own_key", "facts"):
        if facts.opens(told) and key not in own:
            place = next(place for place, name in ready.keys.items() if name == stays[person])
            raise Refused("tddui-encounter-05", f"Bundle.entry[{place}].resource.period.end")
