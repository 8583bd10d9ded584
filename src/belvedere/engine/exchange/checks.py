"""The rules that a deposit must keep (orchestrator reference §4.2): small functions by type, each naming its rule."""

import contextlib
import datetime as dt
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from belvedere.engine.exchange import aggir, conformance
from belvedere.engine.exchange.bundle import Deposited, Entry, led_to
from belvedere.engine.exchange.categories import categories
from belvedere.engine.exchange.identifiers import INS_OIDS, finess_of, finess_valid, ins_valid, rpps_valid
from belvedere.engine.exchange.moments import moment
from belvedere.engine.exchange.questionnaires import RESULT, answer_valid, items_of, unanswered
from belvedere.engine.exchange.rules import Remark
from belvedere.engine.exchange.statements import consent_told

FINESS_SYSTEMS = ("https://finess.esante.gouv.fr", "urn:oid:1.2.250.1.71.4.2.2")
RPPS_SYSTEMS = ("https://rpps.esante.gouv.fr", "urn:oid:1.2.250.1.71.4.2.1")
SERAFIN = "serafin"
GIRS = {f"MED-{338 + rank}": rank for rank in range(1, 7)}
SEXES = ("male", "female", "other", "unknown")
STATES = ("planned", "arrived", "triaged", "in-progress", "onleave", "finished", "cancelled")
OLDEST_YEARS = 130
ACT = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
CLASSES = ("AMB", "EMER", "FLD", "HH", "IMP", "ACUTE", "NONAC", "OBSENC", "PRENC", "SS", "VR")  # v3-ActEncounterCode
CISIS = ("https://smt.esante.gouv.fr/fhir/CodeSystem/terminologie-cisis", "urn:oid:1.2.250.1.213.1.1.4.322")
TEMPORARY = ("urn:oid:1.2.250.1.213.3.3.31", "01")  # TRE of the time of a stay (JDV_J30): a temporary one may lie inside another
DAY = dt.timedelta(days=1)
MED = re.compile(r"MED-\d")  # codes of the CISIS alone


@dataclass(frozen=True)
class Known:
    """What the rules ask of the outside: who deposits, the day, dated nomenclatures, establishments, what earlier deposits hold at an address."""

    finess: str
    today: dt.date
    kind: Callable[[dt.date], str | None] = lambda day: None  # FINESS category of the depositor on a day; None: not looked at
    coded: Callable[[str, str, dt.date], bool | None] = lambda system, code, day: None  # None: the system is not held
    listed: Callable[[str, str], bool] = lambda system, code: True  # False: in no value set held of a system that we hold some of
    serafin: Callable[[str, dt.date], bool | None] = lambda code, day: None  # None: unknown code that day; True: a leaf
    professional: Callable[[str, dt.date], bool | None] = lambda number, day: None  # None: no directory is held
    offered: Callable[[dt.date], bool | None] = lambda day: None  # None: the register of resources told nothing of the depositor
    open_between: Callable[[str], tuple[dt.date | None, dt.date | None] | None] = lambda finess: None
    open_stay: Callable[[Entry, Deposited], bool] = lambda stay, deposited: False  # another one than the stays of this deposit
    period: Callable[[str], tuple[str, str] | None] = lambda address: None  # start and end of a stay held, "" without
    born: Callable[[str], str] = lambda address: ""  # year of birth of a patient held
    recompute_gir: bool = False


Check = Iterator[Remark]


def identifier(resource: Mapping, systems: tuple[str, ...] | set[str]) -> str | None:
    """The value of the first identifier of one of these systems."""
    held = resource.get("identifier")
    rows = held if isinstance(held, list) else []
    return next((str(item.get("value", "")) for item in rows if isinstance(item, Mapping) and item.get("system") in systems), None)


def person_key(resource: Mapping, finess: str) -> str:
    """What names a person for good: the INS, else the establishment's own identifier; "" when there is neither."""
    ins = identifier(resource, INS_OIDS)
    return f"ins:{ins}" if ins else next(iter(local_keys(resource, finess)), "")


def local_keys(resource: Mapping, finess: str) -> list[str]:
    """The establishment's own identifiers of a person."""
    held = resource.get("identifier")
    rows = [item for item in held if isinstance(item, Mapping) and item.get("value")] if isinstance(held, list) else []
    return [f"{finess}:{item.get('system', '')}|{item['value']}" for item in rows if item.get("system") not in INS_OIDS]


def patient(entry: Entry, deposited: Deposited, known: Known) -> Check:
    if not person_key(entry.resource, known.finess):
        yield Remark("tddui-patient-01", entry.where + ".identifier")
    for rank, item in enumerate(entry.resource.get("identifier", [])):
        if item.get("system") in INS_OIDS and not ins_valid(str(item.get("value", ""))):
            yield Remark("tddui-patient-ins-01", f"{entry.where}.identifier[{rank}].value")
        elif "1.2.250.1.213.1.4" in str(item.get("system", "")) and item.get("system") not in INS_OIDS:
            yield Remark("tddui-patient-ins-02", f"{entry.where}.identifier[{rank}].system")
    born = moment(entry.resource.get("birthDate"))
    if born and not (dt.timedelta(0) <= known.today - born.date() <= dt.timedelta(days=OLDEST_YEARS * 366)):
        yield Remark("tddui-patient-02", entry.where + ".birthDate")
    if not any(name.get("use") == "official" and name.get("family") for name in entry.resource.get("name", [])):
        yield Remark("tddui-patient-03", entry.where + ".name")
    if "gender" in entry.resource and entry.resource["gender"] not in SEXES:
        yield Remark("tddui-patient-04", entry.where + ".gender")


def organization(entry: Entry, deposited: Deposited, known: Known) -> Check:
    told = identifier(entry.resource, FINESS_SYSTEMS)
    number = finess_of(told or "")
    if not finess_valid(number):
        yield Remark("tddui-organization-01", entry.where + ".identifier")
    elif number != known.finess:
        yield Remark("tddui-organization-02", entry.where + ".identifier")
    elif (kind := known.kind(_first_day(deposited) or known.today)) is not None and kind not in categories():
        yield Remark("tddui-organization-04", entry.where + ".identifier", kind)


def _first_day(deposited: Deposited) -> dt.date | None:
    """The day on which the first stay or event of a deposit begins."""
    starts = (moment((entry.resource.get("period") or {}).get("start")) for entry in deposited.of_type("Encounter"))
    return min((start.date() for start in starts if start), default=None)


def _address(reference: object) -> str:
    found = reference.get("reference") if isinstance(reference, Mapping) else ""
    return found if isinstance(found, str) else ""


def _around(entry: Entry, deposited: Deposited, known: Known) -> tuple[dt.datetime | None, dt.datetime | None]:
    """Start and end of the stay that an event belongs to, in this deposit or held from earlier ones."""
    if stay := deposited.target(entry.resource.get("partOf")):
        period = stay.resource.get("period") or {}
        return moment(period.get("start")), moment(period.get("end"))
    held = known.period(_address(entry.resource.get("partOf")))
    return (moment(held[0]), moment(held[1])) if held else (None, None)


def _born(entry: Entry, deposited: Deposited, known: Known) -> dt.datetime | None:
    """When the patient of a resource was born: at the earliest, for one that is held."""
    subject = entry.resource.get("subject")
    if person := deposited.target(subject):
        return moment(person.resource.get("birthDate"))
    return moment(known.born(_address(subject)))


def temporary(resource: Mapping) -> bool:
    """Whether a stay says that it is temporary."""
    return any((item.get("system"), item.get("code")) == TEMPORARY for kind in resource.get("type", []) for item in kind.get("coding", []))


def opens(entry: Entry) -> bool:
    """Whether a resource is a stay without end, and not a temporary one."""
    return (
        entry.profile.name == "tddui-encounter-sejour"
        and moment((entry.resource.get("period") or {}).get("end")) is None
        and not temporary(entry.resource)
    )


def encounter(entry: Entry, deposited: Deposited, known: Known) -> Check:
    period = entry.resource.get("period") or {}
    start, end = moment(period.get("start")), moment(period.get("end"))
    if start is None:
        yield Remark("tddui-encounter-01", entry.where + ".period.start")
    if entry.resource.get("status") not in STATES:
        yield Remark("tddui-encounter-06", entry.where + ".status")
    if start and end and end < start:
        yield Remark("tddui-encounter-02", entry.where + ".period")
    if not _address(entry.resource.get("subject")):
        yield Remark("tddui-encounter-04", entry.where + ".subject")
    held = entry.resource.get("class") or {}
    if held.get("system") != ACT or held.get("code") not in CLASSES:
        yield Remark("tddui-encounter-09", entry.where + ".class")
    for rank, kind in enumerate(entry.resource.get("type", [])):
        if not kind.get("text") and any(not coding.get("code") for coding in kind.get("coding", [])):
            yield Remark("tddui-encounter-10", f"{entry.where}.type[{rank}]")
    yield from performed(entry, known)
    first, last = _around(entry, deposited, known)
    if (start and first and start < first) or any(one and last and one > last + DAY for one in (start, end)):
        yield Remark("tddui-encounter-03", entry.where + ".period")
    born = _born(entry, deposited, known)
    if start and born and start < born - DAY:
        yield Remark("tddui-encounter-07", entry.where + ".period.start")
    if start and (opened := known.open_between(known.finess)):
        first_day, last_day = opened
        if (first_day and start.date() < first_day) or (last_day and start.date() >= last_day):
            yield Remark("tddui-organization-03", entry.where + ".period.start")
    if start and entry.profile.name == "tddui-encounter-sejour" and known.offered(start.date()) is False:
        yield Remark("tddui-encounter-08", entry.where + ".period.start")
    if opens(entry) and known.open_stay(entry, deposited):
        yield Remark("tddui-encounter-05", entry.where + ".period.end")


def answers_in(items: list) -> Iterator[tuple[str, Mapping]]:
    """(linkId, answer) of every answer of a questionnaire, however deep."""
    stack = list(items)
    while stack:
        item = stack.pop()
        answers = item.get("answer", [])
        for one in answers:
            yield str(item.get("linkId", "")), one
            stack.extend(one.get("item", []))
        stack.extend(item.get("item", []))


def questionnaire(entry: Entry, deposited: Deposited, known: Known) -> Check:
    resource = entry.resource
    if not resource.get("questionnaire"):
        yield Remark("tddui-questionnaire-01", entry.where + ".questionnaire")
    authored = moment(resource.get("authored"))
    if authored is None:
        yield Remark("tddui-questionnaire-04", entry.where + ".authored")
    elif authored.date() > known.today:
        yield Remark("tddui-questionnaire-06", entry.where + ".authored")
    if not _address(resource.get("subject")):
        yield Remark("tddui-questionnaire-07", entry.where + ".subject")
    born = _born(entry, deposited, known)
    if authored and born and authored < born - DAY:
        yield Remark("tddui-questionnaire-10", entry.where + ".authored")
    items = items_of(resource.get("questionnaire"))
    if items is None and resource.get("questionnaire"):
        yield Remark("tddui-questionnaire-08", entry.where + ".questionnaire")
    answers: dict[str, Mapping] = {}
    for link, answer in answers_in(resource.get("item", [])):
        if items and link not in items:
            yield Remark("tddui-questionnaire-09", entry.where + ".item")
        if not answer_valid(resource.get("questionnaire"), link, answer):
            yield Remark("tddui-questionnaire-11", entry.where + ".item", link[:40])
        if link in answers:
            yield Remark("tddui-questionnaire-05", entry.where + ".item", link[:40])
        answers[link] = answer
    if missing := unanswered(resource.get("questionnaire"), answers):
        yield Remark("tddui-questionnaire-12", entry.where + ".item", " ".join(missing[:5]))
    yield from _evaluator(entry, deposited)
    if "aggir" in str(resource.get("questionnaire", "")):
        held = answers.get(RESULT, {}).get("valueCoding") or {}
        code = held.get("code")
        if code not in GIRS or held.get("system") not in CISIS:
            yield Remark("tddui-questionnaire-02", entry.where + ".item")
        elif known.recompute_gir:
            booleans = {link: answer["valueBoolean"] for link, answer in answers.items() if "valueBoolean" in answer}
            grid = aggir.answers_of(booleans)
            if grid and aggir.gir(grid) != GIRS[code]:
                yield Remark("tddui-questionnaire-03", entry.where + ".item", f"GIR {aggir.gir(grid)} recalculé, GIR {GIRS[code]} déclaré")


def _evaluator(entry: Entry, deposited: Deposited) -> Check:
    """Who evaluated is said: a professional, or the person itself with who carries its word (invariants of the guide's profile)."""
    resource = entry.resource
    source = led_to(resource.get("source"), deposited)
    parts = [one for one in resource.get("extension", []) if str(one.get("url", "")).endswith("/tddui-qr-participant")]
    if source == "Patient":
        if not any(inner.get("url") == "TDDUIPorteur" for one in parts for inner in one.get("extension", [])):
            yield Remark("tddui-questionnaire-13", entry.where + ".source")
    elif source != "Practitioner" and not resource.get("author") and not parts:
        yield Remark("tddui-questionnaire-14", entry.where + ".source")


def day_told(resource: Mapping, known: Known) -> dt.date:
    """The day that the codes of a resource are judged at: its own, else today."""
    periods = ((resource.get(name) or {}).get("start") for name in ("period", "executionPeriod", "occurrencePeriod"))
    given = (resource.get(name) for name in ("authored", "occurrenceDateTime", "authoredOn", "dateTime"))
    told = next((found for text in (*periods, *given) if (found := moment(text))), None)
    return told.date() if told else known.today


def performed(entry: Entry, known: Known) -> Check:
    """SERAFIN-PH codes of what an event is: services, at any depth of the tree."""
    for rank, kind in enumerate(entry.resource.get("type", [])):
        for coding in kind.get("coding", []):
            if (
                SERAFIN in str(coding.get("system", "")).lower()
                and known.serafin(str(coding.get("code", "")), day_told(entry.resource, known)) is None
            ):
                yield Remark("tddui-serafin-01", f"{entry.where}.type[{rank}]")


def scored(entry: Entry, deposited: Deposited, known: Known) -> Check:
    """SERAFIN-PH codes of needs and services."""
    for rank, coding in enumerate((entry.resource.get("code") or {}).get("coding", [])):
        if SERAFIN in str(coding.get("system", "")).lower():
            leaf = known.serafin(str(coding.get("code", "")), day_told(entry.resource, known))
            if leaf is not True:
                yield Remark("tddui-serafin-01" if leaf is None else "tddui-serafin-02", f"{entry.where}.code.coding[{rank}]")


def consent(entry: Entry, deposited: Deposited, known: Known) -> Check:
    yield from consent_told(entry.resource, entry.where)


def practitioner(entry: Entry, deposited: Deposited, known: Known) -> Check:
    number = identifier(entry.resource, RPPS_SYSTEMS)
    if number is None:
        return
    bare = number[1:] if len(number) == 12 and number[0] == "8" else number
    if not rpps_valid(bare):
        yield Remark("tddui-practitioner-01", entry.where + ".identifier")
    elif known.professional(bare, known.today) is False and known.professional(bare, _first_day(deposited) or known.today) is not True:
        yield Remark("tddui-practitioner-02", entry.where + ".identifier")


def named(entry: Entry) -> Check:
    """An identifier has a system and a value."""
    held = entry.resource.get("identifier", [])
    for rank, item in enumerate(held if isinstance(held, list) else [held]):
        if not item.get("value") or not item.get("system"):
            yield Remark("tddui-resource-04", f"{entry.where}.identifier[{rank}]" if isinstance(held, list) else f"{entry.where}.identifier")


def codes(entry: Entry, known: Known) -> Check:
    """Every coding of a nomenclature that we hold exists at the day of the resource."""
    resource = entry.resource
    day = day_told(resource, known)
    stack: list[tuple[str, object]] = [(entry.where, resource)]
    while stack:
        path, value = stack.pop()
        if isinstance(value, dict):
            system, code = value.get("system"), value.get("code")
            if isinstance(system, str) and isinstance(code, str):
                if known.coded(system, code, day) is False or (MED.match(code) and system not in CISIS):
                    yield Remark("tddui-code-01", path)
                elif not known.listed(system, code):
                    yield Remark("tddui-code-02", path)
            stack.extend((f"{path}.{name}", item) for name, item in value.items() if isinstance(item, dict | list))
        elif isinstance(value, list):
            stack.extend((f"{path}[{rank}]", item) for rank, item in enumerate(value) if isinstance(item, dict | list))


BY_TYPE: dict[str, Callable[[Entry, Deposited, Known], Check]] = {
    "Patient": patient, "Organization": organization, "Encounter": encounter, "QuestionnaireResponse": questionnaire, "ServiceRequest": scored, "Task": scored,
    "Consent": consent, "Practitioner": practitioner,
}  # fmt: skip


def check(deposited: Deposited, known: Known) -> list[Remark]:
    """Everything the rules say of a deposit, entry by entry."""
    remarks: list[Remark] = []
    for entry in deposited.entries:
        try:
            if rule := BY_TYPE.get(entry.profile.type):
                remarks.extend(rule(entry, deposited, known))
            remarks.extend((*named(entry), *codes(entry, known)))
        except (AttributeError, TypeError, KeyError, IndexError, ValueError, OverflowError):
            remarks.append(Remark("tddui-resource-01", entry.where))
    return remarks + _opened_twice(deposited, known) + conformance.check(deposited)


def _opened_twice(deposited: Deposited, known: Known) -> list[Remark]:
    """Stays that one deposit opens beside another of the same person. The same stay said twice is one."""
    found: dict[str, str] = {}
    remarks = []
    for entry in deposited.of_profile("tddui-encounter-sejour"):
        with contextlib.suppress(AttributeError, TypeError):  # told already, by tddui-resource-01
            if opens(entry):
                subject = entry.resource.get("subject")
                target = deposited.target(subject)
                person = person_key(target.resource, known.finess) if target else _address(subject)
                stay = next(
                    (f"{item.get('system')}|{item['value']}" for item in entry.resource.get("identifier", []) if item.get("value")), entry.key
                )
                if found.setdefault(person, stay) != stay:
                    remarks.append(Remark("tddui-encounter-05", entry.where + ".period.end"))
    return remarks
