"""Archive packages: SEDA 2.3 manifests, written and read (orchestrator reference §4.8; the standard's schemas judge them in the tests)."""

import datetime as dt
import hashlib
import io
import lzma
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lxml import etree

NAMESPACE = "fr:gouv:culture:archivesdefrance:seda:v2.3"
FORMATS = {
    "json": ("JSON", "application/fhir+json", "fmt/817"),
    "pdf": ("PDF/A-3b", "application/pdf", "fmt/480"),
    "xml": ("XML", "text/xml", "fmt/101"),
    "csv": ("CSV", "text/csv", "x-fmt/18"),
    "zip": ("ZIP", "application/zip", "x-fmt/263"),
}
FATES = {"conserver": "Keep", "detruire": "Destroy", "trier": "Keep"}
MOST_FILES, MOST_BYTES = 5_000, 200 * 1024 * 1024
_PARSER = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)


class PackageRefused(Exception):
    """The package cannot be taken; says which file and why, in French."""


@dataclass(frozen=True)
class Piece:
    """One file of a package: its name below Content/, title, bytes."""

    name: str
    title: str
    content: bytes


@dataclass(frozen=True)
class Header:
    """What a transfer says of itself; `grain`: whether each piece is a unit of its own, or the file is the only one; `access`: who may read it, as the
    department's rule names it."""

    identifier: str
    at: dt.datetime
    finess: str
    archives: str
    title: str
    start: dt.date
    end: dt.date
    fate: str
    grain: str = "piece"
    access: str = "ACC-DUI"


def _sub(parent: etree._Element, name: str, text: str | None = None, **attributes: str) -> etree._Element:
    made = etree.SubElement(parent, f"{{{NAMESPACE}}}{name}", attributes)
    made.text = text
    return made


def _object(package: etree._Element, rank: int, piece: Piece) -> None:
    group = _sub(package, "DataObjectGroup", id=f"GOT{rank}")
    held = _sub(group, "BinaryDataObject", id=f"OBJ{rank}")
    _sub(held, "DataObjectVersion", "BinaryMaster_1")
    _sub(held, "Uri", f"Content/{piece.name}")
    _sub(held, "MessageDigest", hashlib.sha512(piece.content).hexdigest(), algorithm="SHA-512")
    _sub(held, "Size", str(len(piece.content)))
    litteral, mime, pronom = FORMATS[piece.name.rsplit(".", 1)[-1]]
    format_ = _sub(held, "FormatIdentification")
    for name, value in (("FormatLitteral", litteral), ("MimeType", mime), ("FormatId", pronom)):
        _sub(format_, name, value)
    _sub(_sub(held, "FileInfo"), "Filename", piece.name)


def manifest(header: Header, pieces: Sequence[Piece]) -> bytes:
    """The ArchiveTransfer of some files: one unit of the closed file, one item a piece."""
    root = etree.Element(f"{{{NAMESPACE}}}ArchiveTransfer", nsmap={None: NAMESPACE, "xlink": "http://www.w3.org/1999/xlink"})
    _sub(root, "Comment", header.title)
    _sub(root, "Date", header.at.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"))
    _sub(root, "MessageIdentifier", header.identifier)
    _sub(root, "ArchivalAgreement", f"CONVENTION-{header.archives}")
    versions = _sub(root, "CodeListVersions")
    for name in ("ReplyCodeListVersion", "MessageDigestAlgorithmCodeListVersion", "FileFormatCodeListVersion"):
        _sub(versions, name, f"{name}0")
    package = _sub(root, "DataObjectPackage")
    for rank, piece in enumerate(pieces, 1):
        _object(package, rank, piece)
    unit = _sub(_sub(package, "DescriptiveMetadata"), "ArchiveUnit", id="AU0")
    content = _sub(unit, "Content")
    for name, value in (
        ("DescriptionLevel", "File"), ("Title", header.title), ("OriginatingAgencyArchiveUnitIdentifier", header.identifier), ("Description", "Dossier clos : dépôts d’origine, données, rendu lisible et preuves."),
        ("StartDate", header.start.isoformat()), ("EndDate", header.end.isoformat()),
    ):  # fmt: skip
        _sub(content, name, value)
    for rank, piece in enumerate(pieces, 1):
        item = unit
        if header.grain == "piece":
            item = _sub(unit, "ArchiveUnit", id=f"AU{rank}")
            described = _sub(item, "Content")
            _sub(described, "DescriptionLevel", "Item")
            _sub(described, "Title", piece.title)
        _sub(_sub(item, "DataObjectReference"), "DataObjectGroupReferenceId", f"GOT{rank}")
    management = _sub(package, "ManagementMetadata")
    _sub(management, "OriginatingAgencyIdentifier", f"FINESS-{header.finess}")
    _sub(management, "SubmissionAgencyIdentifier", "BELVEDERE")
    appraisal = _sub(management, "AppraisalRule")
    for name, value in (("Rule", "APP-DUI"), ("StartDate", header.end.isoformat()), ("FinalAction", FATES[header.fate])):
        _sub(appraisal, name, value)
    access = _sub(management, "AccessRule")
    _sub(access, "Rule", header.access)
    _sub(access, "StartDate", header.end.isoformat())
    _sub(_sub(root, "ArchivalAgency"), "Identifier", header.archives)
    _sub(_sub(root, "TransferringAgency"), "Identifier", "BELVEDERE")
    return etree.tostring(root, xml_declaration=True, encoding="UTF-8", pretty_print=True)


def package(header: Header, pieces: Sequence[Piece]) -> bytes:
    """The submission package: manifest.xml and Content/ in a ZIP."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("manifest.xml", manifest(header, pieces))
        for piece in pieces:
            archive.writestr(f"Content/{piece.name}", piece.content)
    return out.getvalue()


def members(raw: bytes) -> dict[str, bytes]:
    """The files of a ZIP by name. PackageRefused: no ZIP, a name that leaves the folder, too many files, or too much once opened."""
    try:
        archive = zipfile.ZipFile(io.BytesIO(raw))
        infos = [info for info in archive.infolist() if not info.is_dir()]
        for info in infos:
            parts = info.filename.replace("\\", "/").split("/")
            if info.filename.startswith(("/", "\\")) or ".." in parts or ":" in info.filename:
                raise PackageRefused(f"Le fichier « {info.filename[:60]} » sortirait du dossier : paquet refusé.")
        if len(infos) > MOST_FILES or sum(info.file_size for info in infos) > MOST_BYTES:
            raise PackageRefused("Le paquet est trop grand une fois ouvert.")
        if len({info.filename for info in infos}) != len(infos):
            raise PackageRefused("Deux fichiers du paquet portent le même nom.")
        return {info.filename: archive.read(info) for info in infos}
    except (
        zipfile.BadZipFile,
        zlib.error,
        NotImplementedError,
        RuntimeError,
        EOFError,
        OSError,
        ValueError,
        lzma.LZMAError,
    ) as error:  # all that a ZIP that is none raises
        raise PackageRefused("Le paquet n’est pas un ZIP lisible.") from error


def parse_xml(raw: bytes) -> etree._Element:
    """An XML tree without entities nor network. PackageRefused."""
    try:
        root = etree.fromstring(raw, _PARSER)
    except etree.XMLSyntaxError as error:
        raise PackageRefused(f"XML illisible : {str(error)[:100]}.") from error
    if root.getroottree().docinfo.doctype:
        raise PackageRefused("Un DOCTYPE n’est pas admis.")
    return root


@dataclass(frozen=True)
class Read:
    """A package read back: its identifier, its pieces by name, the title of each, what each unit of the manifest holds
    (identifier -> piece, "" of the whole file)."""

    identifier: str
    pieces: Mapping[str, bytes]
    titles: Mapping[str, str]
    finess: str
    archives: str
    units: Mapping[str, str]


def read(raw: bytes) -> Read:
    """A package, each file checked against its digest and size. PackageRefused names the first that differs."""
    held = members(raw)
    if "manifest.xml" not in held:
        raise PackageRefused("Le manifeste manque (manifest.xml).")
    root, names = parse_xml(held.pop("manifest.xml")), {"s": NAMESPACE}
    pieces, groups = {}, {}
    for group in root.iterfind(".//s:DataObjectGroup", names):
        for item in group.iterfind("s:BinaryDataObject", names):
            uri, digest, size = (item.findtext(f"s:{name}", "", names) for name in ("Uri", "MessageDigest", "Size"))
            content = held.pop(uri, None)
            if content is None:
                raise PackageRefused(f"{uri} : annoncé et absent.")
            if hashlib.sha512(content).hexdigest() != digest or str(len(content)) != size:
                raise PackageRefused(f"{uri} : l’empreinte ou la taille diffère du manifeste.")
            pieces[uri.removeprefix("Content/")] = content
            groups[group.get("id")] = uri.removeprefix("Content/")
    if held:
        raise PackageRefused(f"{sorted(held)[0][:60]} : présent et non annoncé.")
    titles, units = {}, {}
    for unit in root.iterfind(".//s:ArchiveUnit", names):
        held_by = [reference.text for reference in unit.iterfind("s:DataObjectReference/s:DataObjectGroupReferenceId", names)]
        name = groups.get(held_by[0], "") if len(held_by) == 1 else ""
        units[unit.get("id", "")] = name
        if name:
            titles[name] = unit.findtext("s:Content/s:Title", "", names)
    agency = root.findtext(".//s:ManagementMetadata/s:OriginatingAgencyIdentifier", "", names)
    archives = root.findtext("s:ArchivalAgency/s:Identifier", "", names)
    return Read(root.findtext("s:MessageIdentifier", "", names), pieces, titles, agency.removeprefix("FINESS-"), archives, units)
