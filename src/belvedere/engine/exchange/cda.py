"""A TDDUI document in CDA R2 (version 1 of the guide), read as the transaction that version 2 would have been: the same facts by another door."""

import hashlib
import io
import json
import re
import zipfile
from collections.abc import Iterator

from lxml import etree

from belvedere.engine.exchange.aggir import ADVERBS, LINES
from belvedere.engine.exchange.profiles import PROFILE_ROOT
from belvedere.engine.exchange.sample import CISIS, EVALUATION, OWN, QUESTIONNAIRE
from belvedere.engine.exchange.seda import PackageRefused, members, parse_xml

V3 = "urn:hl7-org:v3"
INS_ROOTS = ("1.2.250.1.213.1.4.8", "1.2.250.1.213.1.4.9", "1.2.250.1.213.1.4.10", "1.2.250.1.213.1.4.11")
STAYS, EVENTS, EVALUATIONS, DOCUMENTS = "GEN-362", "89793-4", "47420-5", "55107-7"
TRIP = "1.2.250.1.213.1.1.3.216"  # template of a trip
AGGIR, SITUATION = ("MED-1291", "MED-1292"), "MED-1290"
GENDERS = {"M": "male", "F": "female", "U": "unknown"}
# Items of the AGGIR evaluation, by their ICF code, to the variables of the questionnaire.
ITEMS = {
    "b160": "coherence", "b114": "orientation", "d510": "toilette", "d540": "habillage", "d550": "alimentation", "d530": "elimination", "d410": "transfert", "d4600": "deplacement_interieur",
}  # fmt: skip
ADVERB_CODES = dict(zip(("MED-1307", "MED-1308", "MED-1309", "MED-1310"), ADVERBS, strict=True))
SITUATIONS = {
    "R32": "incontinence", "R15": "incontinence-fec", "E66.9": "obesite", "F06.7": "trouble-cognitif", "F69": "trouble-personnalite", "MED-1294": "soins-ide", "MED-1295": "prise-charge-ide",
}  # fmt: skip


def is_cda(raw: bytes) -> bool:
    """Whether bytes look like a CDA document, or an XDM archive."""
    return raw[:2] == b"PK" or b"ClinicalDocument" in raw[:6_000]


def document_of(raw: bytes) -> bytes:
    """The CDA document of an upload: itself, or the one of an XDM archive. `seda.PackageRefused`."""
    if raw[:2] != b"PK":
        return raw
    held = [content for name, content in sorted(members(raw).items()) if name.upper().endswith(".XML") and b"ClinicalDocument" in content[:6_000]]
    if len(held) != 1:
        raise PackageRefused("L’archive doit contenir un seul document CDA.")
    return held[0]


def xdm(document: bytes) -> bytes:
    """A document in the folders of an XDM archive."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("IHE_XDM/SUBSET01/DOC0001.XML", document)
    return out.getvalue()


def _find(node: etree._Element, path: str) -> etree._Element | None:
    return node.find("/".join(f"c:{part}" for part in path.split("/")), {"c": V3})


def _all(node: etree._Element, path: str) -> list[etree._Element]:
    return node.findall("/".join(f"c:{part}" for part in path.split("/")), {"c": V3})


def _attribute(node: etree._Element | None, path: str, name: str) -> str:
    found = node if not path else _find(node, path) if node is not None else None
    return (found.get(name) or "") if found is not None else ""


def _date(text: str) -> str:
    """A CDA time as FHIR writes it: a day, or an instant with its zone."""
    found = re.fullmatch(r"(\d{4})(\d{2})(\d{2})(?:(\d{2})(\d{2})(\d{2})?([+-]\d{4})?)?", text)
    if not found:
        return ""
    year, month, day, hour, minute, second, zone = found.groups()
    if not hour or not zone:
        return f"{year}-{month}-{day}"
    return f"{year}-{month}-{day}T{hour}:{minute}:{second or '00'}{zone[:3]}:{zone[3:]}"


def _span(node: etree._Element | None) -> dict[str, str]:
    if node is None:
        return {}
    found = {"start": _date(_attribute(node, "low", "value") or node.get("value") or ""), "end": _date(_attribute(node, "high", "value"))}
    return {name: value for name, value in found.items() if value}


def _profiled(kind: str, profile: str, /, **content: object) -> dict:
    return {"resourceType": kind, "meta": {"profile": [PROFILE_ROOT + profile]}, **content}


def _sections(root: etree._Element) -> Iterator[tuple[str, etree._Element]]:
    for section in root.iterfind(".//c:section", {"c": V3}):
        yield _attribute(section, "code", "code"), section


def _gender(code: str) -> str:
    """The sex as FHIR writes it; a code that is none of CDA's is left as it is, for the rules to say so."""
    return GENDERS.get(code, code)


def _said(observation: etree._Element | None) -> bool | None:
    """The value of a boolean observation; None when it says neither: nothing is answered then."""
    return {"true": True, "false": False}.get(_attribute(observation, "value", "value"))


def _patient(root: etree._Element) -> dict:
    role = root.find("c:recordTarget/c:patientRole", {"c": V3})
    if role is None:
        raise PackageRefused("Le document n’a pas d’usager (recordTarget).")
    numbers = [
        {"system": f"urn:oid:{item.get('root')}", "value": item.get("extension")} for item in _all(role, "id") if item.get("root") in INS_ROOTS
    ]
    names = {item.get("qualifier"): (item.text or "").strip() for item in role.iterfind("c:patient/c:name/c:family", {"c": V3})}
    given = [(item.text or "").strip() for item in role.iterfind("c:patient/c:name/c:given", {"c": V3}) if item.get("qualifier") == "BR"]
    return _profiled(
        "Patient", "tddui-patient-ins" if numbers else "tddui-patient", id="usager", identifier=numbers, gender=_gender(_attribute(role, "patient/administrativeGenderCode", "code")),
        birthDate=_date(_attribute(role, "patient/birthTime", "value")), name=[{"use": "official", "family": names.get("BR", ""), "given": given}],
    )  # fmt: skip


_PLACE, _UNTOLD = {"reference": "Organization/etablissement"}, {"display": "Professionnel non transmis"}
_HOME = {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "HH"}
_SUBJECT = {"reference": "Patient/usager"}


def _own_id(organizer: etree._Element) -> str:
    """The identifier of its own that a group of observations bears."""
    return _attribute(organizer, "id", "extension") or _attribute(organizer, "id", "root")


def _stays(sections: list[etree._Element]) -> Iterator[dict]:
    for rank, organizer in enumerate((one for section in sections for one in _all(section, "entry/organizer")), 1):
        period = _span(_find(organizer, "effectiveTime"))
        name = next((item.get("extension") for item in _all(organizer, "component/encounter/id") if item.get("extension")), _own_id(organizer))
        yield _profiled("Encounter", "tddui-encounter-sejour", id=f"sejour-{rank}", identifier=[{"system": OWN.format("sejour"), "value": name}] if name else [], status="finished" if "end" in period else "in-progress", **{"class": _HOME}, subject=_SUBJECT, period=period, serviceProvider=_PLACE)  # fmt: skip


def _events(sections: list[etree._Element], stay: dict | None) -> Iterator[dict]:
    for rank, event in enumerate((one for section in sections for one in _all(section, "entry/encounter")), 1):
        code = _attribute(event, "code/qualifier/value", "code")
        whole = {"partOf": {"reference": f"Encounter/{stay['id']}"}} if stay else {}
        period = _span(_find(event, "effectiveTime"))
        if "start" in period and _attribute(event, "effectiveTime", "value"):
            period["end"] = period["start"]  # a point in time
        yield _profiled("Encounter", "tddui-encounter-evenement", id=f"evenement-{rank}", identifier=[{"system": OWN.format("evenement"), "value": _attribute(event, "id", "extension")}], status="finished", **{"class": _HOME}, type=[{"coding": [{"system": CISIS, "code": code}]}] if code else [], subject=_SUBJECT, period=period, serviceProvider=_PLACE, **whole)  # fmt: skip
        for trip, act in enumerate(_trips(event), 1):
            number = _attribute(act, "id", "extension")
            kind, whose = ("usager", _SUBJECT) if "TPPat" in number else ("professionnel", _UNTOLD)
            yield _profiled("Task", f"tddui-task-transport-{kind}", id=f"trajet-{rank}-{trip}", identifier=[{"system": OWN.format(f"transport{kind}"), "value": number}], status="completed", intent="order", **{"for": whose}, encounter={"reference": f"Encounter/evenement-{rank}"}, executionPeriod=_span(_find(act, "effectiveTime")) or period)  # fmt: skip


def _trips(event: etree._Element) -> list[etree._Element]:
    """The acts of an event that are trips, by their template."""
    return [one for one in _all(event, "entryRelationship/act") if any(item.get("root") == TRIP for item in _all(one, "templateId"))]


def _aggir(observation: etree._Element) -> list[dict]:
    lines = []
    for item in _all(observation, "entryRelationship/observation"):
        variable = ITEMS.get(_attribute(item, "code", "code"))
        told = {
            ADVERB_CODES[_attribute(sub, "code", "code")]: value
            for sub in _all(item, "entryRelationship/observation")
            if _attribute(sub, "code", "code") in ADVERB_CODES and (value := _said(sub)) is not None
        }
        for line in LINES.get(variable or "", ()):
            lines.append(
                {"linkId": line, "item": [{"linkId": f"{line}-{adverb}", "answer": [{"valueBoolean": value}]} for adverb, value in told.items()]}
            )
    return lines


def _evaluations(sections: list[etree._Element], stay: dict | None) -> Iterator[dict]:
    for number, organizer in enumerate((one for section in sections for one in _all(section, "entry/organizer")), 1):
        for place, observation in enumerate(_all(organizer, "component/observation"), 1):
            rank = f"{number}-{place}"
            code = _attribute(observation, "code", "code")
            around = {"encounter": {"reference": f"Encounter/{stay['id']}"}} if stay else {}
            common = {
                "status": "completed",
                "subject": _SUBJECT,
                "author": _UNTOLD,
                "authored": _date(_attribute(observation, "effectiveTime", "value") or _attribute(organizer, "effectiveTime", "value")),
                **around,
            }
            if code in AGGIR:
                item = {
                    "linkId": "resultat-eval",
                    "answer": [{"valueCoding": {"system": CISIS, "code": _attribute(observation, "value", "code")}, "item": _aggir(observation)}],
                }
                kind = "pa" if code == "MED-1291" else "ph"
                yield _profiled("QuestionnaireResponse", "tddui-questionnaire-response", id=f"aggir-{rank}", identifier={"system": EVALUATION, "value": _attribute(observation, "id", "extension")}, questionnaire=f"{QUESTIONNAIRE}tddui-questionnaire-aggir-{kind}-ssiad", item=[item], **common)  # fmt: skip
            elif code == SITUATION:
                held = {
                    _attribute(sub, "code", "code"): value
                    for sub in _all(observation, "entryRelationship/observation")
                    if (value := _said(sub)) is not None
                }
                items = [{"linkId": link, "answer": [{"valueBoolean": held[name]}]} for name, link in SITUATIONS.items() if name in held]
                yield _profiled("QuestionnaireResponse", "tddui-questionnaire-response", id=f"situation-{rank}", identifier={"system": EVALUATION, "value": f"urn:uuid:{_own_id(organizer)}"} if _own_id(organizer) else {}, questionnaire=QUESTIONNAIRE + "tddui-questionnaire-situation-ssiad", item=items, **common)  # fmt: skip


def _around(root: etree._Element) -> list[dict[str, str]]:
    """The identifier of the stay that the header names, when no section tells of stays."""
    number = root.find("c:componentOf/c:encompassingEncounter/c:id", {"c": V3})
    name = (number.get("extension") or number.get("root")) if number is not None else None
    return [{"system": OWN.format("sejour"), "value": name}] if name else []


def _place(root: etree._Element) -> str:
    """The FINESS of the establishment that keeps the document (custodian), as it writes it; "" when it names none."""
    held = root.iterfind("c:custodian/c:assignedCustodian/c:representedCustodianOrganization/c:id", {"c": V3})
    return next((item.get("extension") or "" for item in held if item.get("root") == "1.2.250.1.71.4.2.2"), "")


def unread(raw: bytes) -> list[str]:
    """Codes of the parts of a document that no profile reads, "?" for one without: sections and evaluations. They stay in the original alone."""
    root = parse_xml(document_of(raw))
    found = []
    for code, section in _sections(root):
        if code not in (STAYS, EVENTS, EVALUATIONS, DOCUMENTS):
            found.append(code or "?")
        elif code == EVALUATIONS:
            kinds = [_attribute(one, "code", "code") for one in _all(section, "entry/organizer/component/observation")]
            found += [kind or "?" for kind in kinds if kind not in (*AGGIR, SITUATION)]
    return found


def to_bundle(raw: bytes) -> bytes:
    """The transaction of a document (or XDM archive). `seda.PackageRefused`: no CDA, a DOCTYPE, no person."""
    document = document_of(raw)
    root = parse_xml(document)
    if root.tag != f"{{{V3}}}ClinicalDocument":
        raise PackageRefused("Ce XML n’est pas un document CDA.")
    found: list[dict] = [_patient(root)]
    sections: dict[str, list[etree._Element]] = {}
    for code, section in _sections(root):
        sections.setdefault(code, []).append(section)
    stays = list(_stays(sections.get(STAYS, [])))
    if not stays:
        period = _span(root.find("c:componentOf/c:encompassingEncounter/c:effectiveTime", {"c": V3}))
        stays = [
            _profiled(
                "Encounter",
                "tddui-encounter-sejour",
                id="sejour-1",
                identifier=_around(root),
                status="in-progress",
                **{"class": _HOME},
                subject=_SUBJECT,
                period=period,
                serviceProvider=_PLACE,
            )
        ]
    elif not stays[0]["period"]:
        stays[0]["period"] = _span(root.find("c:componentOf/c:encompassingEncounter/c:effectiveTime", {"c": V3}))
    stay = stays[0]
    found += stays
    found += _events(sections.get(EVENTS, []), stay)
    found += _evaluations(sections.get(EVALUATIONS, []), stay)
    number = _place(root)
    named = [{"system": "https://finess.esante.gouv.fr", "value": number}] if number else []
    place = _profiled("Organization", "tddui-organization", id="etablissement", identifier=named)
    entries = [
        {
            "fullUrl": f"{item['resourceType']}/{item['id']}",
            "resource": {name: value for name, value in item.items() if value not in ([], "", {})},
            "request": {"method": "POST", "url": item["resourceType"]},
        }
        for item in (place, *found)
    ]
    identifier = f"cda-{hashlib.sha256(document).hexdigest()[:24]}"
    return json.dumps(
        {"resourceType": "Bundle", "type": "transaction", "identifier": {"value": identifier}, "entry": entries}, ensure_ascii=False
    ).encode()
