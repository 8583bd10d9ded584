"""Consents, traces, and nomenclatures by their FHIR operations."""

import datetime as dt
from urllib.parse import urlencode

from django.http import HttpResponse
from django.utils import timezone

from belvedere.api.exchange import reads
from belvedere.api.exchange.fhir import Call, Problem, answer
from belvedere.engine.exchange import statements, structure
from belvedere.engine.exchange.moments import moment
from belvedere.engine.exchange.rules import rules
from belvedere.engine.exchange.vocabulary import Actor, Category, Grain, Purpose
from belvedere.observatory.exchange import directory, messages, policy, referentials, traces, wills
from belvedere.observatory.exchange.models import Concept, Resource, Stated
from belvedere.observatory.journal.actions import note

MOST_DAYS = 92
MOST_CONCEPTS = 1_000


def state_consent(call: Call) -> HttpResponse:
    """Write what a person that the establishment accompanies says: OPTIN, OPTOUT, or a withdrawal (status inactive); `provision` narrows purpose, category
    (class) and recipient (actor)."""
    content = call.content()
    patient = content.get("patient")
    address = patient.get("reference") if isinstance(patient, dict) else None
    if content.get("resourceType") != "Consent" or not isinstance(address, str) or structure.problems(content):
        raise Problem(422, "structure", "Une ressource Consent conforme à FHIR R4, avec patient.reference, est attendue.")
    row = (
        Resource.objects.select_related("person")
        .filter(type="Patient", uid=address.rpartition("/")[2], establishment=call.by.party, current=True, erased=False)
        .first()
    )
    if row is None or row.person is None:
        raise Problem(422, "not-found", "L’usager n’est pas de vos dépôts.")
    wrong = statements.consent_told(content)
    terms = statements.consent_terms(content)
    if wrong or terms is None:
        rule = rules()[wrong[0].rule if wrong else "tddui-consent-04"]
        raise Problem(422, rule.issue, f"{rule.message} {rule.remedy}")
    made = policy.state(person=row.person, terms=terms, party=call.by.party, said_by=statements.speaker(content), proof="Consent FHIR")
    return answer(wills.consent(made, f"Patient/{row.uid}"), 201, Location=f"{messages.base()}/Consent/{made.pk}")


def consent(call: Call) -> HttpResponse:
    """A statement that the calling establishment wrote, as it is held: what a person says is never changed, a later one takes its place."""
    number = call.parts["id"]
    row = Stated.objects.filter(pk=number, collected_by=call.by.party.code).first() if number.isdecimal() and len(number) < 16 else None
    if row is None:  # one that came within a deposit is read as its other resources are
        return reads.one(Call(call.request, call.caller, call.parts | {"type": "Consent"}, call.raw))
    return answer(wills.consent(row, wills.patient_of(row, call.by.party.pk)))


def audit(call: Call) -> HttpResponse:
    """Traces between two dates; a party reads its own, the auditor all of them, under pseudonyms."""
    bounds = call.request.GET.getlist("date")
    low = next((moment(text[2:]) for text in bounds if text.startswith("ge")), None)
    high = next((moment(text[2:]) for text in bounds if text.startswith("le")), None)
    if low is None or high is None or high < low or high - low > dt.timedelta(days=MOST_DAYS):
        raise Problem(400, "value", f"Bornez la recherche : date=ge…&date=le…, {MOST_DAYS} jours au plus.")
    auditing = call.by.party.actor == Actor.AUDITOR
    if auditing and call.by.purpose != Purpose.AUDIT:
        raise Problem(403, "forbidden", "La finalité AUDIT est attendue (en-tête X-Finalite).")
    if auditing and not policy.opened(call.by.party, Purpose.AUDIT, Category.TRACE, Grain.PSEUDONYM, level=call.by.level):
        raise Problem(403, "forbidden", "Aucune ligne de la matrice n’ouvre les traces à cet acteur.")
    note(by=call.by.party.code, action="echange.journal.lu", subject="journal", since=low.isoformat(), until=high.isoformat())
    found = traces.between(low, high, party="" if auditing else call.by.party.code)
    after = call.request.GET.get("_cursor", "")
    rows = list((found.filter(pk__lt=int(after)) if after.isdecimal() and len(after) < 16 else found)[: traces.MOST + 1])
    entries = [{"resource": traces.audit_event(entry, call.by.party.code), "search": {"mode": "match"}} for entry in rows[: traces.MOST]]
    bundle = {"resourceType": "Bundle", "type": "searchset", "total": found.count(), "entry": entries}
    if len(rows) > traces.MOST:
        query = urlencode([("date", text) for text in bounds] + [("_cursor", str(rows[traces.MOST - 1].pk))])
        bundle["link"] = [{"relation": "next", "url": f"{messages.base()}/AuditEvent?{query}"}]
    return answer(bundle)


def _day(call: Call) -> dt.date:
    text = call.request.GET.get("date", "")
    if not text:
        return timezone.localdate()
    found = moment(text)
    if found is None:
        raise Problem(400, "value", "date s’écrit AAAA-MM-JJ.")
    return found.date()


def lookup(call: Call) -> HttpResponse:
    """`system`, `code`, `date`: what a code meant that day."""
    rows = referentials.at(_day(call)).filter(system=call.request.GET.get("system", ""), code=call.request.GET.get("code", ""))
    if (row := rows.first()) is None:
        raise Problem(404, "not-found", "Ce code n’existe pas dans ce système à cette date.")
    told = [("name", row.valueset), ("display", row.display), *([("parent", row.parent)] if row.parent else [])]
    return answer({"resourceType": "Parameters", "parameter": [{"name": name, "valueString": value} for name, value in told]})


def expand(call: Call) -> HttpResponse:
    """`url` (or the name of a value set), `date`, `filter`: its codes that day."""
    name = call.request.GET.get("url", "").rsplit("/", 1)[-1]
    if name == directory.VALUESET:
        raise Problem(400, "too-costly", "L’annuaire des professionnels ne se déroule pas : demandez un numéro à $validate-code ou à $lookup.")
    rows = referentials.at(_day(call)).filter(valueset=name)
    if words := call.request.GET.get("filter", ""):
        rows = rows.filter(display__icontains=words[:60])
    if not rows.exists() and not Concept.objects.filter(valueset=name).exists():
        raise Problem(404, "not-found", "Ce jeu de valeurs n’est pas tenu ici.")
    found = list(rows.order_by("code")[:MOST_CONCEPTS])
    contains = [{"system": row.system, "code": row.code, "display": row.display} for row in found]
    return answer(
        {
            "resourceType": "ValueSet",
            "status": "active",
            "name": name,
            "expansion": {"timestamp": timezone.now().isoformat(), "total": rows.count(), "contains": contains},
        }
    )


def validate_code(call: Call) -> HttpResponse:
    """`url`, `code`, `system`, `date`: whether the code is of the set that day."""
    given = call.request.GET
    rows = referentials.at(_day(call)).filter(valueset=given.get("url", "").rsplit("/", 1)[-1], code=given.get("code", ""))
    if system := given.get("system"):
        rows = rows.filter(system=system)
    row = rows.first()
    told: list[dict] = [{"name": "result", "valueBoolean": row is not None}]
    told.append(
        {"name": "display", "valueString": row.display} if row else {"name": "message", "valueString": "Ce code n’est pas du jeu à cette date."}
    )
    return answer({"resourceType": "Parameters", "parameter": told})
