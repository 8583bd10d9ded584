"""What persons said, as FHIR Consents: one shape for whoever reads it, takes it away, or wrote it."""

from collections.abc import Mapping
from typing import Any

from belvedere.engine.exchange.checks import ACT
from belvedere.engine.exchange.profiles import PROFILE_ROOT
from belvedere.engine.exchange.vocabulary import SPEAKERS, Speaker, Statement
from belvedere.observatory.exchange.models import Resource, Stated


def patient_of(row: Stated, party: int) -> str:
    """The address under which an establishment deposited the person of a statement, "" when it did not."""
    uid = Resource.objects.filter(person=row.person_id, establishment=party, type="Patient", current=True).values_list("uid", flat=True).first()
    return f"Patient/{uid}" if uid else ""


def consent(row: Stated, patient: str, *, name: str = "") -> dict[str, Any]:
    """A statement as a Consent of R4 about a patient's address ("": it is not told)."""
    told: list[tuple[str, str, Any]] = [
        ("purpose", row.purpose, [{"code": row.purpose}]), ("class", row.category, [{"code": row.category}]),
        ("actor", row.recipient, [{"role": {"text": "destinataire"}, "reference": {"display": row.recipient}}]),
    ]  # fmt: skip
    scope = {element: value for element, said, value in told if said}
    about: Mapping[str, Any] = {"reference": patient} if patient else {"display": "usager"}
    represented = row.said_by == Speaker.REPRESENTATIVE
    return {
        "resourceType": "Consent", "id": name or str(row.pk), "meta": {"profile": [PROFILE_ROOT + "tddui-consent-accord"]},
        "status": "inactive" if row.kind == Statement.WITHDRAWAL else "active",
        "scope": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy"}]},
        "category": [{"coding": [{"system": "http://loinc.org", "code": "59284-0"}]}], "patient": about, "dateTime": row.at.isoformat(),
        "performer": [{"type": "RelatedPerson", "display": SPEAKERS[Speaker.REPRESENTATIVE]} if represented else about],
        "policyRule": {"coding": [{"system": ACT, "code": "OPTOUT" if row.kind == Statement.OPPOSITION else "OPTIN"}]}, **({"provision": scope} if scope else {}),
    }  # fmt: skip
