"""Envelopes of the official services as public clients write them (reference §1.1): a shape, not a contract. The security header of a signed
assertion, and the authorisation number, are for whoever has them; nothing here is plugged to a real address."""

import datetime as dt
import uuid
from dataclasses import dataclass

from lxml import etree

from belvedere.engine.services.identity import Traits
from belvedere.engine.services.rights import Question

SOAP12, SOAP11 = "http://www.w3.org/2003/05/soap-envelope", "http://schemas.xmlsoap.org/soap/envelope/"
WSA, BAM, LPS, ADR = "http://www.w3.org/2005/08/addressing", "urn:siram:bam:ctxbam", "urn:siram:lps:ctxlps", "urn:ir:se_req_adr"
INS_ASKED, INS_TOLD, AMC = "http://www.cnamts.fr/INSiRecSans", "http://www.cnamts.fr/INSiResultat", "https://ws.annuaireamc.fr/"
ACTIONS = {"ADRI": "urn:adr:1.1.0:acquerirLesDroits", "INSI": "urn:ServiceIdentiteCertifiee:1.0.0:rechercherInsAvecTraitsIdentite"}
_PARSER = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)


@dataclass(frozen=True)
class Software:
    """Who calls: the authorisation number (IDAM), its version, the instance, its name."""

    authorisation: str
    version: str
    instance: str
    name: str


def _element(parent: etree._Element, namespace: str, path: str, text: str = "", /, **attributes: str) -> etree._Element:
    """The element at a path below a parent, made where it is missing."""
    for name in path.split("/"):
        tag = f"{{{namespace}}}{name}" if namespace else name
        found = parent.find(tag)
        parent = found if found is not None else etree.SubElement(parent, tag)
    if text:
        parent.text = text
    for name, value in attributes.items():
        parent.set(name, value)
    return parent


def _envelope(service: str, software: Software, site: str, now: dt.datetime, extra: dict[str, str]) -> tuple[etree._Element, etree._Element]:
    root = etree.Element(f"{{{SOAP12}}}Envelope", nsmap={"soap": SOAP12, "wsa": WSA, "ctxbam": BAM, "ctxlps": LPS})
    header = etree.SubElement(root, f"{{{SOAP12}}}Header")
    stamp = f"{now.astimezone(dt.UTC):%Y-%m-%dT%H:%M:%SZ}"
    bam = _element(header, BAM, "ContexteBAM", Version="01_02", Nature="CTXBAM")
    for path, text in {"Id": str(uuid.uuid4()), "Temps": stamp, "Emetteur": site, "COUVERTURE": "", **extra}.items():
        _element(bam, BAM, path, text)
    lps = _element(header, LPS, "ContexteLPS", Nature="CTXLPS", Version="01_00")
    for path, text in {"Id": str(uuid.uuid4()), "Temps": stamp, "Emetteur": site}.items():
        _element(lps, LPS, path, text)
    _element(lps, LPS, "LPS/IDAM", software.authorisation, R="4")
    for path, text in {"LPS/Version": software.version, "LPS/Instance": software.instance, "LPS/Nom": software.name}.items():
        _element(lps, LPS, path, text)
    _element(header, WSA, "MessageID", f"uuid:{uuid.uuid4()}")
    _element(header, WSA, "Action", ACTIONS[service])
    return root, etree.SubElement(root, f"{{{SOAP12}}}Body")


def rights_request(asked: Question, software: Software, now: dt.datetime, *, regime: str = "", caisse: str = "", centre: str = "") -> bytes:
    """A consultation of rights in the shape of ADRi, on whose base CDRi stands."""
    born, rank = asked.born, asked.rank or "1"
    full = f"{'19' if born[:2] > f'{now:%y}' else '20'}{born}" if born else ""
    cover = {
        "COUVERTURE/GrandRegime": regime, "COUVERTURE/Organisme": caisse, "COUVERTURE/CodeCentre": centre, "COUVERTURE/ASSURE/Id/Num": asked.nir, "COUVERTURE/ASSURE/Id/Cle": asked.key,
        "COUVERTURE/BENEFICIAIRE/DateNai": full, "COUVERTURE/BENEFICIAIRE/Rang": rank,
    }  # fmt: skip
    root, body = _envelope("ADRI", software, asked.site, now, cover)
    for path, text in {
        "Requete/DatedeReference": asked.day.isoformat(), "Requete/BeneficiaireDeSoins/DatedeNaissance": full,
        "Requete/BeneficiaireDeSoins/SituationAdministrativeAMO/RangdeNaissance": rank, "Requete/BeneficiaireDeSoins/Assure/NIRassure/Num": asked.nir, "Requete/BeneficiaireDeSoins/Assure/NIRassure/Cle": asked.key,
    }.items():  # fmt: skip
        _element(body, ADR, path, text)
    return etree.tostring(root, xml_declaration=True, encoding="UTF-8")


def identity_request(traits: Traits, software: Software, site: str, now: dt.datetime) -> bytes:
    """A search of an INS by traits."""
    root, body = _envelope("INSI", software, site, now, {})
    for path, text in {
        "RECSANSVITALE/NomNaissance": traits.family, "RECSANSVITALE/Prenom": traits.given, "RECSANSVITALE/Sexe": traits.sex, "RECSANSVITALE/DateNaissance": traits.born.isoformat(),
    }.items():  # fmt: skip
        _element(body, INS_ASKED, path, text)
    return etree.tostring(root, xml_declaration=True, encoding="UTF-8")


def identity_answer(raw: bytes) -> tuple[str, str, str, Traits | None]:
    """(result code, INS with its key, OID, traits) of an answer. ValueError when it is none."""
    try:
        told = etree.fromstring(raw, _PARSER).find(f".//{{{INS_TOLD}}}RESULTAT")
    except etree.XMLSyntaxError as error:
        raise ValueError("réponse illisible") from error
    if told is None:
        raise ValueError("réponse sans RESULTAT")
    text = lambda path: told.findtext("/".join(f"{{{INS_TOLD}}}{name}" for name in path.split("/")), "")  # noqa: E731
    born = text("INDIVIDU/TIQ/DateNaissance")
    names = (text("INDIVIDU/TIQ/NomNaissance"), text("INDIVIDU/TIQ/ListePrenom"), text("INDIVIDU/TIQ/Sexe"))
    traits = Traits(*names, dt.date.fromisoformat(born), text("INDIVIDU/TIQ/LieuNaissance")) if born else None
    return (
        text("CR/CodeCR"),
        text("INDIVIDU/INSACTIF/IdIndividu/NumIdentifiant") + text("INDIVIDU/INSACTIF/IdIndividu/Cle"),
        text("INDIVIDU/INSACTIF/OID"),
        traits,
    )


def directory_request(amc: str, convention: str, csr: str, service: str, version: str, software: Software, day: dt.date) -> bytes:
    """A look-up in the directory of complementary bodies: where a service of a body answers."""
    root = etree.Element(f"{{{SOAP11}}}Envelope", nsmap={"soap": SOAP11, "ws": AMC})
    search = etree.SubElement(etree.SubElement(root, f"{{{SOAP11}}}Body"), f"{{{AMC}}}search")
    given = etree.SubElement(search, "paramsObj")
    for path, text in {
        "requete/version": "R01", "requete/date_demande": day.isoformat(), "requete/editeur": software.name, "requete/logiciel": software.authorisation, "requete/version_logiciel": software.version,
        "adressage/numero_amc": amc, "adressage/code_type_convention": convention, "adressage/code_csr": csr, "adressage/domaine_conventionnel": "HOSP", "adressage/code_service": service,
        "adressage/code_norme_service": service, "adressage/version_norme_service": version, "typage/type_adresse/item": "MEL",
    }.items():  # fmt: skip
        _element(given, "", path, text)
    return etree.tostring(root, xml_declaration=True, encoding="UTF-8")
