"""What names a person and a resource, deposit after deposit, without naming them to anybody.

A person is met under its INS, or under an establishment's own number before its INS is known: aliases lead every token to one person, so that what it
said is never left behind under a first name.
"""

import uuid
from collections.abc import Iterable, Mapping
from typing import Any

from django.db import transaction

from belvedere.engine.exchange import bundle, checks, questionnaires, sameness
from belvedere.engine.exchange.bundle import Deposited, Entry
from belvedere.engine.exchange.profiles import BARE
from belvedere.engine.exchange.rules import Refused, Remark
from belvedere.observatory.exchange import vault
from belvedere.observatory.exchange.models import (
    Alias,
    DepositPerson,
    Event,
    FileState,
    MoveFile,
    MoveState,
    Party,
    Person,
    PersonLink,
    Resource,
    Stated,
    Transfer,
)
from belvedere.observatory.journal.actions import record


def person_token(key: str) -> str:
    """The token of a person's key: its INS, or its number in an establishment."""
    return vault.token("usager", key)


def found(tokens: Iterable[str]) -> dict[str, Person]:
    """The person of each token that is known, through aliases first."""
    names = set(tokens)
    people = {person.token: person for person in Person.objects.filter(token__in=names)}
    return people | {alias.token: alias.person for alias in Alias.objects.filter(token__in=names).select_related("person")}


def _keys(entry: Entry, party: Party) -> tuple[str, list[str]]:
    """(token of the INS or "", tokens of the establishment's own numbers) of a patient."""
    key = checks.person_key(entry.resource, party.finess)
    own = [person_token(name) for name in checks.local_keys(entry.resource, party.finess)]
    return (person_token(key) if key.startswith("ins:") else ""), own


def tokens(entry: Entry, party: Party) -> list[str]:
    """Every token that names the patient of an entry, its INS first."""
    ins, own = _keys(entry, party)
    return [token for token in (ins, *own) if token]


def is_ins(identifier: Mapping) -> bool:
    """Whether a patient's identifier is its INS."""
    return identifier.get("system") in checks.INS_OIDS


def named_in(party: Party, deposited: Deposited) -> dict[str, Person]:
    """The person of each token of a deposit's patients that is known."""
    return found(token for entry in deposited.of_type("Patient") for token in tokens(entry, party))


def contradictions(party: Party, deposited: Deposited, known: Mapping[str, Person]) -> list[Remark]:
    """Patients whose numbers lead to two persons whose INS is known; `known`: as `named_in` gives it. What one of two says, and its erasure, would be the
    other's at every establishment: they are never made one."""
    patients = deposited.of_type("Patient")
    held = {token: (person.pk, person.qualified) for token, person in known.items()}
    ranks = sameness.conflicts([_keys(entry, party) for entry in patients], held)
    return [Remark("tddui-patient-05", patients[rank].where + ".identifier") for rank in ranks]


def _made(told: list[tuple[Entry, str, list[str]]], known: dict[str, Person]) -> dict[str, Person]:
    """The persons of the tokens, those that nobody knew yet made at once; one that another deposit made meanwhile is that one."""
    new = {ins or own[0]: bool(ins) for _, ins, own in told if not any(token in known for token in (ins, *own))}
    if not new:
        return known
    Person.objects.bulk_create([Person(token=token, qualified=qualified) for token, qualified in sorted(new.items())], ignore_conflicts=True)
    return known | found(new)


@transaction.atomic
def recognise(party: Party, deposited: Deposited) -> dict[int, Person]:
    """The person of each entry, by place: made when it is new; one that was known under its own number alone becomes the person of its INS. `rules.Refused`."""
    # Persons are made one by deposits of their establishment alone: one at a time, or one would write under a person that another has just left.
    Party.objects.select_for_update(of=("self",), no_key=True).get(pk=party.pk)
    told = [(entry, *_keys(entry, party)) for entry in deposited.of_type("Patient")]
    before = found(token for _, ins, own in told for token in (ins, *own) if token)
    for remark in contradictions(party, deposited, before):
        raise Refused(remark.rule, remark.where)
    known = _made(told, before)
    people: dict[str, Person] = {}
    aliases: list[Alias] = []
    for entry, ins, own in told:
        met = [known[token] for token in (ins, *own) if token in known]
        person = known.get(ins) or next((one for one in met if one.qualified), met[0])
        for token in own:
            if token in known and known[token] != person:
                old = known[token]
                _merge(old, person, party)
                # Whatever this deposit led to the person that is no more leads to the other.
                known |= {name: person for name, one in known.items() if one == old}
                people |= {address: person for address, one in people.items() if one == old}
                for alias in aliases:
                    alias.person = person if alias.person_id == old.pk else alias.person
        for token in filter(None, (ins, *own)):
            if token not in known:
                aliases.append(Alias(token=token, person=person))
                known[token] = person
        if ins and not person.qualified:
            person.qualified = True
            person.save(update_fields=["qualified"])
        people[entry.address] = person
    if aliases:
        Alias.objects.bulk_create(aliases, ignore_conflicts=True)
    named: dict[int, Person] = {}
    for entry in deposited.entries:
        subject = bundle.about(entry, deposited)
        if isinstance(subject, Entry):
            named[entry.place] = people[subject.address]
        elif isinstance(subject, str):
            row = Resource.objects.filter(uid=subject.rpartition("/")[2], establishment=party, current=True).select_related("person").first()
            if row and row.person:
                named[entry.place] = row.person
        if entry.place not in named and entry.profile.type not in BARE:
            raise Refused("tddui-reference-04", entry.where)  # nobody's opposition or erasure would reach it
    return named


def _merge(other: Person, person: Person, party: Party) -> None:
    """Make two persons one: data, statements and links follow; the first one's token leads to the second from now on."""
    _merge_files(other, person)
    own = DepositPerson.objects.filter(person=other)
    own.filter(deposit__in=DepositPerson.objects.filter(person=person).values("deposit")).delete()
    own.update(person=person)
    # First: what was said follows only whom an alias leads to, the database sees to it.
    Alias.objects.filter(person=other).update(person=person)
    Alias.objects.update_or_create(token=other.token, defaults={"person": person, "own_name": other.token})
    for model in (Resource, Stated, PersonLink, Event, Transfer):
        model.objects.filter(person=other).update(person=person)
    record(by=party.code, action="echange.usager.reconnu", subject=f"usager:{person.pk}", before=f"usager:{other.pk}")


def _merge_files(other: Person, person: Person) -> None:
    """Two files of a change of software become one, to be compared again while the change is open."""
    twins = {row.move_id: row for row in MoveFile.objects.select_for_update(of=("self",)).filter(person=person)}
    for row in MoveFile.objects.filter(person=other).select_related("move"):
        twin = twins.get(row.move_id)
        if twin is None:
            MoveFile.objects.filter(pk=row.pk).update(person=person)
            continue
        twin.also, twin.resources = [*twin.also, row.address, *row.also], twin.resources + row.resources
        if row.move.state == MoveState.OPEN:
            twin.state, twin.gaps, twin.compared_at = FileState.AWAITED, [], None
        row.delete()
        twin.save()


# Of an establishment's own numbers, in the guide's successive texts.
OWN_SYSTEMS = tuple(
    f"https://identifiant-medicosocial-{name}" for name in ("localusager.esante.gouv.fr", "localusager.cnsa.fr", "usager.esante.gouv.fr")
)


def accompanied(party: Party, number: str) -> Person | None:
    """The person of an establishment's deposits that an INS, or the establishment's own number, names."""
    text = number.strip()
    bare = "".join(text.split()).upper()
    own = [f"{party.finess}:{system}|{name}" for system in OWN_SYSTEMS for name in (text, f"3{party.finess}/{text}")]
    people = found(person_token(key) for key in (f"ins:{bare}", *own))
    held = Person.objects.filter(pk__in=[person.pk for person in people.values()], resources__establishment=party, resources__erased=False).distinct()
    return held.first() if held.count() == 1 else None


def shown(person: Person, party: Party) -> str:
    """What an establishment reads in place of a person's number: numbers, common to all, tell who was known before."""
    return vault.pseudonym(party.code, f"usager:{person.pk}")[:8]


def numbers(person: Person) -> list[int]:
    """The numbers under which the journal speaks of a person: its own, and those of the persons that it was recognised in."""
    return [
        person.pk,
        *Person.objects.filter(token__in=Alias.objects.filter(person=person).values("token")).exclude(pk=person.pk).values_list("pk", flat=True),
    ]


def behind(number: int) -> int:
    """The person that a number of the journal leads to today."""
    token = Person.objects.filter(pk=number).values("token")
    return Alias.objects.filter(token__in=token).exclude(person=number).values_list("person", flat=True).first() or number


def own_names(people: Iterable[Person]) -> dict[int, str]:
    """The token under which each person's resources are told apart: the first it had, so that a merge renames nothing."""
    rows = {person.pk: person.token for person in people}
    return rows | dict(Alias.objects.filter(person__in=rows).exclude(own_name="").order_by("-pk").values_list("person_id", "own_name"))


def own_key(kind: str, resource: Mapping[str, Any], party: Party, person: str = "") -> str:
    """What tells a resource from the others of its establishment: its identifier, else the id that its software gave it, for that `person` (its own name)."""
    if kind == "Patient":
        name = person
    else:
        held = resource.get("identifier")
        first = held[0] if isinstance(held, list) and held else held
        if isinstance(first, Mapping) and first.get("value"):
            name = f"{first.get('system', '')}|{first['value']}"
            if kind == "QuestionnaireResponse":  # evaluations of one day may bear one number, a grid each: the guide's own examples do
                name += f"|{questionnaires.grid_of(resource)}"
        else:
            name = f"id|{resource.get('id') or uuid.uuid4()}|{person}"
    return vault.token("ressource", f"{party.pk}|{kind}|{name}")
