"""What is kept in clear beside a sealed resource: coded values and days that datasets and counts read. No name, number, address or text."""

import calendar
import datetime as dt
from typing import Any

from belvedere.engine.exchange import checks, pathos, questionnaires
from belvedere.engine.exchange.bundle import Deposited, Entry
from belvedere.engine.exchange.moments import moment
from belvedere.engine.exchange.profiles import Profile


def day_text(text: object, *, last: bool = False) -> str:
    """The ISO day of a FHIR date, "" when there is none; a month or a year is its first day, or its last."""
    found = moment(text)
    if found is None:
        return ""
    day = found.date()
    if last and len(str(text)) == 4:
        day = day.replace(month=12)
    if last and len(str(text)) <= 7:
        day = day.replace(day=calendar.monthrange(day.year, day.month)[1])
    return day.isoformat()


def coded(entry: Entry) -> dict[str, Any]:
    """The coded values of a resource."""
    resource = entry.resource
    match entry.profile.type:
        case "Patient":
            return {"year": str(resource.get("birthDate", ""))[:4], "sex": resource.get("gender", "unknown")}
        case "Encounter":
            period = resource.get("period", {})
            told = {"start": day_text(period.get("start")), "end": day_text(period.get("end"), last=True), "status": resource.get("status", "")}
            return told | ({"temporary": True} if checks.temporary(resource) else {})
        case "QuestionnaireResponse":
            return _evaluation(resource)
        case "Task" | "ServiceRequest":
            return {"codes": sorted({str(item.get("code")) for item in (resource.get("code") or {}).get("coding", [])})}
    return {}


def as_deposited(profile: Profile, content: dict[str, Any], held: dict[str, Any]) -> bool:
    """Whether the values kept beside a resource are those that its sealed content holds: what is delivered is what was deposited."""
    return coded(Entry(0, "", content, profile)) == held


def _evaluation(resource: dict[str, Any]) -> dict[str, Any]:
    answers = dict(checks.answers_in(resource.get("item", [])))
    gir = checks.GIRS.get((answers.get("resultat-eval", {}).get("valueCoding") or {}).get("code"))
    name = questionnaires.grid_of(resource)
    told: dict[str, Any] = {"questionnaire": name, "day": day_text(resource.get("authored"))}
    if gir:
        told["gir"] = gir
    if resource.get("questionnaire") == pathos.QUESTIONNAIRE:
        told["pathos"] = pathos.declared(answers)
    if "situation" in name:
        told["situation"] = sorted(link for link, answer in answers.items() if answer.get("valueBoolean") is True)
    return told


def opens(told: dict[str, Any]) -> bool:
    """Whether a stay, by its facts, has no end and is not a temporary one."""
    return not told.get("end") and not told.get("temporary")


def day_of(entry: Entry, deposited: Deposited) -> dt.date | None:
    """The day a resource is about: its own, else that of the event it belongs to."""
    resource = entry.resource
    for told in (
        resource.get("authored"),
        *((resource.get(name) or {}).get("start") for name in ("period", "executionPeriod")),
        resource.get("dateTime"),
    ):
        if text := day_text(told):
            return dt.date.fromisoformat(text)
    event = deposited.target(resource.get("encounter"))
    return day_of(event, deposited) if event is not None and event.profile.type == "Encounter" else None
