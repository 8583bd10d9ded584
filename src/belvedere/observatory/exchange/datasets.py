"""Datasets of consumers: built from what was deposited, passed through their contract, frozen with their report."""

import calendar
import csv
import datetime as dt
import hashlib
import io
import json
import zipfile
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any

from django.db import transaction
from django.db.models import Max, Min, Q
from django.utils import timezone

from belvedere.engine.exchange import checks, contracts, plainly
from belvedere.engine.exchange.access import Decision
from belvedere.engine.exchange.contracts import BROKEN, Contract, Finding
from belvedere.engine.exchange.profiles import profiles
from belvedere.engine.exchange.vocabulary import Actor, Category
from belvedere.observatory.environment import read
from belvedere.observatory.exchange import doubles, establishments, events, facts, policy, vault
from belvedere.observatory.exchange.intake import content_of
from belvedere.observatory.exchange.models import Dataset, Deposit, DepositState, Party, Resource, Stated
from belvedere.observatory.journal.actions import Fact, append, record
from belvedere.observatory.notices import actions as notices

LOOKED = 12  # datasets whose findings an establishment is shown
REFERENCES = 3  # accepted versions that a new one is compared with


class DatasetRefused(Exception):
    """The dataset cannot be made; says why, in French."""


@dataclass
class Built:
    """Rows, where each comes from, how many sources were read and which were left out."""

    rows: list[dict[str, str]] = field(default_factory=list)
    provenance: list[list[str]] = field(default_factory=list)
    people: list[int | None] = field(default_factory=list)
    sources: int = 0
    untrue: set[str] = field(default_factory=set)  # establishments some of whose values are not those that their sealed deposits hold
    exclusions: Counter[str] = field(default_factory=Counter)


def bounds(period: str) -> tuple[dt.date, dt.date]:
    """First and last day of AAAA-MM. DatasetRefused."""
    try:
        year, month = int(period[:4]), int(period[5:7])
        return dt.date(year, month, 1), dt.date(year, month, calendar.monthrange(year, month)[1])
    except (ValueError, IndexError, calendar.IllegalMonthError) as error:
        raise DatasetRefused("La période s’écrit AAAA-MM.") from error


def _stays(contract: Contract, first: dt.date, last: dt.date) -> list[Resource]:
    found = Resource.objects.filter(profile="tddui-encounter-sejour", current=True, erased=False, facts__start__lte=last.isoformat()).select_related(
        "establishment", "person"
    )
    if contract.kinds:
        found = found.filter(establishments.of_kinds(contract.kinds, last))
    return [row for row in found.order_by("establishment__finess", "pk") if not row.facts["end"] or row.facts["end"] >= first.isoformat()]


def build(contract: Contract, consumer: Party, period: str, at: dt.datetime) -> Built:
    """The rows that the consumer may have for a month: every stay is a row, or an exclusion that says why."""
    first, last = bounds(period)
    judge, asking, made = policy.judge(), policy.asking(consumer, 2), Built()
    stays = _stays(contract, first, last)
    people = {stay.person_id for stay in stays}
    around: dict[tuple[int | None, int], list[Resource]] = {}
    kinds = ("Patient", "QuestionnaireResponse", "Task")
    for row in Resource.objects.filter(person__in=people, type__in=kinds, current=True, erased=False).select_related("establishment", "person"):
        around.setdefault((row.person_id, row.establishment_id), []).append(row)
    said: dict[int, list[Stated]] = {}
    for one in Stated.objects.filter(person__in=people):
        said.setdefault(one.person_id, []).append(one)
    for stay in stays:
        made.sources += 1
        near = around.get((stay.person_id, stay.establishment_id), [])
        ask = policy.consent_of(stay.person_id, stay.establishment.code, at, policy.said(said.get(stay.person_id or 0, [])))
        decision = judge.decide(asking, contract.purpose, Category.ADM, contract.grain, policy.thing(stay), at, ask)
        patient = next((row for row in near if row.type == "Patient"), None)
        if not decision.permitted:
            made.exclusions["droit ou opposition"] += 1
        elif patient is None:
            made.exclusions["usager absent des dépôts"] += 1
        else:
            permits = partial(judge.decide, asking, contract.purpose, grain=contract.grain, at=at, consent=ask)
            row, used = _row(contract, permits, stay, patient, near, first, last)
            made.rows.append(row)
            if not all(facts.as_deposited(profiles()[item.profile], content_of(item), item.facts) for item in used):
                made.untrue.add(stay.establishment.finess)
            made.people.append(stay.person_id)
            made.provenance.append(
                [
                    "|".join(row.get(name, "") for name in contract.key),
                    " ".join(f"{item.type}/{item.uid}/_history/{item.version}@{item.deposit_id}" for item in used),
                ]
            )
    return made


def _latest(near: list[Resource], name: str, last: dt.date) -> Resource | None:
    rows = [row for row in near if name in row.facts.get("questionnaire", "") and row.day and row.day <= last]
    return max(rows, key=lambda row: (row.day, row.pk), default=None)


def _row(
    contract: Contract, permits: Callable[..., Decision], stay: Resource, patient: Resource, near: list[Resource], first: dt.date, last: dt.date,
) -> tuple[dict[str, str], list[Resource]]:  # fmt: skip
    content, used = content_of(patient), [stay, patient]
    start, end = stay.facts["start"], stay.facts["end"]
    days = (min(dt.date.fromisoformat(end) if end else last, last) - max(dt.date.fromisoformat(start), first)).days + 1
    values = {
        "finess": stay.establishment.finess, "ins": checks.identifier(content, checks.INS_OIDS) or "", "sexe": patient.facts.get("sex", ""), "annee": patient.facts.get("year", ""),
        "debut": start, "fin": end, "jours": str(max(days, 0)),
    }  # fmt: skip
    names = {item.name for item in contract.items}
    if "gir" in names:
        for name, fact in (("aggir", "gir"), ("situation", "situations")):
            grid = _latest(near, name, last)
            if grid is None or not permits(Category.HEALTH, thing=policy.thing(grid)).permitted:
                continue
            used.append(grid)
            values[fact] = str(grid.facts.get("gir", "")) if fact == "gir" else "|".join(grid.facts.get("situation", [])) or "-"
    if "trajets" in names and permits(Category.SERV, thing=policy.thing(stay)).permitted:
        trips = [row for row in near if row.profile == "tddui-task-transport-professionnel" and row.day and first <= row.day <= last]
        used += trips
        values["trajets"] = str(len(trips))
    return {name: values.get(name, "") for name in (item.name for item in contract.items)}, used


def judge_quality(contract: Contract, built: Built, consumer: Party, at: dt.datetime) -> tuple[list[Finding], dict[str, object]]:
    """The findings of the gate, and the figures that the next version is compared with."""
    before = list(Dataset.objects.filter(code=contract.code, consumer=consumer).exclude(state=BROKEN).order_by("-made_at")[:REFERENCES])
    reference: dict[str, list[int]] = {}
    volumes: Counter[str] = Counter()
    for one in before:
        for name, (filled, rows) in one.report.get("filled", {}).items():
            held = reference.setdefault(name, [0, 0])
            held[0], held[1] = held[0] + filled, held[1] + rows
        volumes.update(one.report.get("volume", {}))
    means = {name: count / len(before) for name, count in volumes.items()} if before else {}
    places = Party.objects.filter(admitted=True, actor=Actor.PRODUCER)
    if contract.kinds:
        places = places.filter(kind__in=contract.kinds)
    taken = Q(deposits__state__in=(DepositState.ACCEPTED, DepositState.REMARKS))
    told = places.annotate(last=Max("deposits__received_at", filter=taken), admitted_at=Min("keys__created_at"))
    # Who never deposited is silent since its admission, told by its first token.
    ages = {finess: (at - since).days for finess, last, first in told.values_list("finess", "last", "admitted_at") if (since := last or first)}
    kinds = dict(Party.objects.filter(finess__in={row["finess"] for row in built.rows}).values_list("finess", "kind"))
    findings = [
        *contracts.completeness(contract, built.rows, reference, kinds), *contracts.validity(contract, built.rows), *contracts.integrity(contract, built.rows, built.sources, built.exclusions, built.untrue),
        *contracts.freshness(contract, ages), *contracts.volume(built.rows, means),
    ]  # fmt: skip
    filled = {item.name: [sum(1 for row in built.rows if row.get(item.name)), len(built.rows)] for item in contract.items}
    return findings, {"filled": filled, "volume": dict(Counter(row["finess"] for row in built.rows))}


def league(findings: Sequence[Finding]) -> list[dict[str, object]]:
    """How often each software answers for a finding: the lever that works."""
    concerned = Counter(name for finding in findings for name in finding.establishments)
    software = dict(Party.objects.filter(finess__in=concerned).values_list("finess", "software"))
    counted: Counter[str] = Counter()
    for name, count in concerned.items():
        counted[software.get(name, "") or "logiciel inconnu"] += count
    return [{"software": name, "findings": count} for name, count in counted.most_common()]


def table(contract: Contract, rows: Sequence[dict[str, str]]) -> bytes:
    """The rows as consumers read them: `;`, UTF-8 with its mark."""
    out = io.StringIO()
    writer = csv.DictWriter(out, [item.name for item in contract.items], delimiter=";", lineterminator="\r\n")
    writer.writeheader()
    writer.writerows(rows)
    return ("\ufeff" + out.getvalue()).encode()


def schema(contract: Contract) -> dict[str, object]:
    """The Table Schema of a dataset."""
    fields = []
    for item in contract.items:
        constraints: dict[str, object] = {"required": item.required}
        if item.codes:
            constraints["enum"] = list(item.codes)
        elif item.pattern:
            constraints["pattern"] = item.pattern
        fields.append(
            {"name": item.name, "type": "string", "title": item.label, "description": f"Source : {item.source}.", "constraints": constraints}
        )
    return {
        "name": contract.code,
        "title": contract.title,
        "version": contract.version,
        "fields": fields,
        "primaryKey": list(contract.key),
        "missingValues": [""],
    }


def _packed(contract: Contract, period: str, built: Built, report: dict[str, object]) -> bytes:
    out, traced = io.BytesIO(), io.StringIO()
    csv.writer(traced, delimiter=";", lineterminator="\r\n").writerows([["cle", "ressources"], *built.provenance])
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"{contract.code}-{period}.csv", table(contract, built.rows))
        archive.writestr("tableschema.json", json.dumps(schema(contract), ensure_ascii=False, indent=1))
        archive.writestr("provenance.csv", traced.getvalue())
        archive.writestr("rapport-qualite.json", json.dumps(report, ensure_ascii=False, indent=1))
        archive.writestr("LISEZ-MOI.txt", f"{contract.title}\n{contract.note}\nContrat {contract.version}, période {period}.\n")
    return out.getvalue()


@transaction.atomic
def publish(*, code: str, period: str, by: str) -> Dataset:
    """Build, judge and freeze a dataset. A broken contract leaves no file: both sides are told. DatasetRefused."""
    contract = contracts.contracts().get(code)
    consumer = Party.objects.filter(actor=contract.actor, admitted=True).first() if contract else None
    if contract is None or consumer is None:
        raise DatasetRefused("Ce jeu n’existe pas, ou son destinataire n’est pas admis.")
    at = timezone.now()
    built = build(contract, consumer, period, at)
    if not built.sources:
        raise DatasetRefused("Aucun séjour n’est connu pour cette période.")
    findings, figures = judge_quality(contract, built, consumer, at)
    findings += contracts.non_regression(contract, doubles.weighed(contract, period, built.rows), sum(built.exclusions.values()))
    state = contracts.verdict(findings)
    report: dict[str, object] = {
        "contract": contract.version, "verdict": state, "sources": built.sources, "rows": len(built.rows), "exclusions": dict(built.exclusions),
        "people": sorted({person for person in built.people if person}), "findings": [asdict(finding) for finding in findings], "league": league(findings), **figures,
        "terms": asdict(contract),  # what was promised, whatever the contract becomes
    }  # fmt: skip
    last = Dataset.objects.filter(code=code, period=period, consumer=consumer).aggregate(last=Max("version"))["last"] or 0
    raw = _packed(contract, period, built, {name: value for name, value in report.items() if name != "people"}) if state != BROKEN else b""
    made = Dataset.objects.create(
        code=code, contract=contract.version, period=period, version=last + 1, consumer=consumer, state=state, rows=len(built.rows) if raw else 0, report=report, made_at=at,
        content=vault.seal(raw, f"jeu:{code}:{period}:{last + 1}") if raw else b"", sha256=hashlib.sha256(raw).hexdigest() if raw else "",
    )  # fmt: skip
    record(
        by=by,
        action="echange.jeu.rompu" if state == BROKEN else "echange.jeu.publie",
        subject=f"jeu:{code}:{period}:{made.version}",
        rows=made.rows,
        sha256=made.sha256,
        verdict=state,
    )
    focus = f"jeux/{code}/{period}/{made.version}"
    if state == BROKEN:
        for place in Party.objects.filter(finess__in={name for finding in findings for name in finding.establishments}):
            events.raise_(topic="contrat-rompu", establishment=place, focus=focus)
            _write(contract, period, place, [one for one in findings if place.finess in one.establishments])
        _write(contract, period, consumer, [one for one in findings if one.level == BROKEN])
    events.raise_(topic="contrat-rompu" if state == BROKEN else "jeu-publie", establishment=consumer, focus=focus)
    return made


def _write(contract: Contract, period: str, party: Party, findings: Sequence[Finding]) -> None:
    """Tell a side by e-mail too: not everybody subscribes."""
    if party.contact:
        page = "/echanges/depots/" if party.finess else "/echanges/jeux/"
        notices.post(
            "exchange_contract", to=party.contact, by="plateforme", title=contract.title, period=period, findings=[finding.text for finding in findings],
            place=bool(party.finess), address=read("BELVEDERE_PUBLIC_URL").rstrip("/") + page,
        )  # fmt: skip


def noticed(party: Party) -> list[tuple[Dataset, str, str, list[str]]]:
    """What the last datasets say of an establishment's deposits: each with its title, its month and the findings that name it."""
    found, seen = [], set[tuple[str, str]]()
    for row in Dataset.objects.filter(code__in=contracts.contracts()).defer("content", "counted").order_by("-made_at")[:LOOKED]:
        told = [one["text"] for one in row.report.get("findings", []) if party.finess in one["establishments"]]
        if (row.code, row.period) not in seen and told:
            found.append((row, contracts.contracts()[row.code].title, plainly.day(row.period), told))
        seen.add((row.code, row.period))
    return found


def content(dataset: Dataset, *, by: str, person: str = "") -> bytes:
    """The file of a dataset; each person in it has the reading told in the journal, with whoever took it (`person`)."""
    if not dataset.content:
        raise DatasetRefused("Le contrat est rompu : ce jeu n’a pas de fichier.")
    contract = contracts.contracts()[dataset.code]
    opening = policy.opened(dataset.consumer, contract.purpose, Category.ADM, contract.grain, also={item.category for item in contract.items})
    if opening is None:
        raise DatasetRefused("Aucune ligne de la matrice n’ouvre plus ce jeu à son destinataire.")
    raw = vault.unseal(dataset.content, f"jeu:{dataset.code}:{dataset.period}:{dataset.version}")
    people, taken = dataset.report.get("people", []), opening.told | {"grain": contract.grain} | ({"taken_by": person} if person else {})
    with transaction.atomic():
        append(
            [Fact(by, "echange.jeu", f"usager:{each}", {"purpose": contract.purpose, "profiles": [dataset.code], **taken}) for each in people]
            or [Fact(by, "echange.jeu", f"jeu:{dataset.code}", taken)]
        )
    return raw


def compared(*, code: str, period: str, by: str) -> dict[str, dict[str, Any]]:
    """The last version of a dataset against the file that is kept of its period, item by item. DatasetRefused."""
    contract = contracts.contracts().get(code)
    found = Dataset.objects.filter(code=code, period=period).exclude(state=BROKEN).order_by("-version").first()
    if contract is None or found is None:
        raise DatasetRefused("Ce jeu n’a pas été produit pour ce mois : produisez-le (belvedere exchange dataset), le fichier reçu est gardé.")
    with zipfile.ZipFile(io.BytesIO(content(found, by=by))) as archive:
        ours = list(csv.DictReader(io.StringIO(archive.read(f"{code}-{period}.csv").decode("utf-8-sig")), delimiter=";"))
    return doubles.weighed(contract, period, ours)


def refused_share() -> list[dict[str, object]]:
    """Deposits and refusals by software: the league table of vendors."""
    counted: dict[str, list[int]] = {}
    for software, state in Deposit.objects.values_list("party__software", "state"):
        held = counted.setdefault(software or "logiciel inconnu", [0, 0])
        held[0] += 1
        held[1] += state == DepositState.REFUSED
    rows = [{"software": name, "deposits": total, "refused": refused, "share": refused / total} for name, (total, refused) in counted.items()]
    return sorted(rows, key=lambda row: (row["share"], row["software"]))
