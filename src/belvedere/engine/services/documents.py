"""DMP: a document's metadata and its CDA header, checked before it is sent; the shared record itself is a simulator's (reference §3.7)."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass

from lxml import etree

from belvedere.engine.exchange.identifiers import ins_valid

CDA = "{urn:hl7-org:v3}"
CLASSES = {"10": "comptes rendus", "11": "synthèses", "31": "imagerie", "42": "prescriptions", "52": "biologie", "90": "expression de la personne"}
FORMATS = {"application/pdf": "urn:ihe:iti:xds-sd:pdf:2008", "text/xml": "urn:ihe:iti:xds-sd:text:2008"}
CONFIDENTIALITY = ("N", "R", "V", "INVISIBLE_PATIENT", "MASQUE_PS")
_PARSER = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)


@dataclass(frozen=True)
class Metadata:
    """What an XDS entry says of a document."""

    ins: str
    title: str
    class_code: str
    type_code: str
    format_code: str
    mime: str
    author: str
    created: dt.datetime
    service_from: dt.date
    service_to: dt.date
    confidentiality: str = "N"


def wrong(told: Metadata, now: dt.datetime) -> list[str]:
    """What is wrong with the metadata, in French; [] when the document may leave."""
    tests = (
        (not ins_valid(told.ins), "Le matricule INS n’a pas une clé juste."), (not told.title.strip(), "Le titre manque."), (told.class_code not in CLASSES, "La classe de document n’est pas connue."),
        (not told.type_code, "Le type de document manque."), (told.mime not in FORMATS, "Le document n’est ni un PDF ni un CDA."), (told.mime in FORMATS and told.format_code != FORMATS[told.mime], "Le format dit n’est pas celui du document."),
        (not told.author.strip(), "L’auteur manque."), (told.created > now, "Le document est daté après aujourd’hui."), (told.service_to < told.service_from, "La fin de l’acte précède son début."),
        (told.confidentiality not in CONFIDENTIALITY, "Le niveau de confidentialité n’est pas connu."),
    )  # fmt: skip
    return [text for failed, text in tests if failed]


def header(raw: bytes, told: Metadata) -> list[str]:
    """What differs between a CDA document's header and its metadata, in French."""
    try:
        root = etree.fromstring(raw, _PARSER)
    except etree.XMLSyntaxError:
        return ["Le document CDA n’est pas un XML lisible."]
    if root.getroottree().docinfo.doctype:
        return ["Un document CDA n’a pas de DOCTYPE."]
    if root.tag != CDA + "ClinicalDocument":
        return ["La racine n’est pas ClinicalDocument."]
    found = []
    names = {one.get("extension") for one in root.iterfind(f"{CDA}recordTarget/{CDA}patientRole/{CDA}id")}
    if not names & {told.ins, told.ins[:13]}:
        found.append("L’INS de l’en-tête n’est pas celui des métadonnées.")
    title = root.find(CDA + "title")
    if title is None or (title.text or "").strip() != told.title.strip():
        found.append("Le titre de l’en-tête n’est pas celui des métadonnées.")
    for name, label in (
        ("id", "L’identifiant"),
        ("code", "Le type"),
        ("effectiveTime", "La date"),
        ("confidentialityCode", "La confidentialité"),
        ("author", "L’auteur"),
        ("custodian", "Le conservateur"),
    ):
        if root.find(CDA + name) is None:
            found.append(f"{label} manque dans l’en-tête.")
    return found


@dataclass
class Record:
    """A shared record as a simulator holds it: open or not, blocked professionals, documents by identifier."""

    open: bool = True
    blocked: frozenset[str] = frozenset()

    def submit(self, told: Metadata, remarks: list[str]) -> str:
        """The result code of a submission: 00, 10 (metadata), 20 (closed), 30 (blocked)."""
        if remarks:
            return "10"
        if not self.open:
            return "20"
        return "30" if told.author in self.blocked else "00"


def as_metadata(held: Mapping) -> Metadata:
    """Metadata from JSON. ValueError, KeyError when an element is missing or no date."""
    return Metadata(
        held["ins"], held["title"], held["class_code"], held["type_code"], held["format_code"], held["mime"], held["author"], dt.datetime.fromisoformat(held["created"]),
        dt.date.fromisoformat(held["service_from"]), dt.date.fromisoformat(held["service_to"]), held.get("confidentiality", "N"),
    )  # fmt: skip
