"""The light container of archives without an electronic system: a bag (BagIt 1.0, RFC 8493), in a ZIP, with SHA-512 manifests of its payload and its tags.

What a SEDA manifest says beyond the files (dates, fate, access, titles) is in `bag-info.txt`, under the labels of RFC 8493 §2.2.2 where they exist.
"""

import datetime as dt
import hashlib
import io
import re
import zipfile
from collections.abc import Mapping, Sequence

from belvedere.engine.exchange import seda
from belvedere.engine.exchange.seda import Header, PackageRefused, Piece, Read

DECLARATION = "BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n"
MANIFEST, TAGS, INFO = "manifest-sha512.txt", "tagmanifest-sha512.txt", "bag-info.txt"
_LINE = re.compile(r"([0-9a-f]{128}) [ *]?(\S.*)")


def _info(header: Header, pieces: Sequence[Piece]) -> str:
    told = [
        ("Source-Organization", "BELVEDERE"), ("Bagging-Date", header.at.astimezone(dt.UTC).date().isoformat()), ("External-Identifier", header.identifier),
        ("External-Description", header.title), ("Payload-Oxum", f"{sum(len(piece.content) for piece in pieces)}.{len(pieces)}"),
        ("Originating-Agency", f"FINESS-{header.finess}"), ("Archival-Agency", header.archives), ("Start-Date", header.start.isoformat()),
        ("End-Date", header.end.isoformat()), ("Final-Action", seda.FATES[header.fate]), ("Access-Rule", header.access),
        *(("Piece", f"{piece.name} {piece.title}") for piece in pieces),
    ]  # fmt: skip
    return "".join(f"{label}: {value}\n" for label, value in told)


def package(header: Header, pieces: Sequence[Piece]) -> bytes:
    """The bag of some files, named after the transfer."""
    payload = {f"data/{piece.name}": piece.content for piece in pieces}
    tags = {"bagit.txt": DECLARATION.encode(), INFO: _info(header, pieces).encode(), MANIFEST: _manifest(payload)}
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in (tags | {TAGS: _manifest(tags)} | payload).items():
            archive.writestr(f"{header.identifier}/{name}", content)
    return out.getvalue()


def _manifest(files: Mapping[str, bytes]) -> bytes:
    return "".join(f"{hashlib.sha512(content).hexdigest()}  {name}\n" for name, content in files.items()).encode()


def is_bag(names: Sequence[str]) -> bool:
    """Whether the files of a package are those of a bag."""
    return any(name.rpartition("/")[2] == "bagit.txt" for name in names)


def read(raw: bytes) -> Read:
    """A bag, each file checked against its manifests: none missing, none more, none changed. PackageRefused names the first that differs."""
    held = seda.members(raw)
    root = next((name.removesuffix("bagit.txt") for name in held if name.rpartition("/")[2] == "bagit.txt"), None)
    if root is None or any(not name.startswith(root) for name in held):
        raise PackageRefused("Ce paquet n’est pas un sac BagIt : bagit.txt manque, ou des fichiers sont hors du dossier.")
    files = {name.removeprefix(root): content for name, content in held.items()}
    _checked(files, MANIFEST, {name for name in files if name.startswith("data/")})
    _checked(files, TAGS, {name for name in files if not name.startswith("data/") and name != TAGS})
    info: dict[str, list[str]] = {}
    for line in files.get(INFO, b"").decode("utf-8", "replace").splitlines():
        label, _, value = line.partition(":")
        info.setdefault(label, []).append(value.strip())
    if any(not value.isprintable() for values in info.values() for value in values):
        raise PackageRefused(f"{INFO} contient des caractères qui ne s’impriment pas.")
    pieces = {name.removeprefix("data/"): content for name, content in files.items() if name.startswith("data/")}
    titles = dict(one.partition(" ")[::2] for one in info.get("Piece", []))
    first = lambda label: (info.get(label) or [""])[0]  # noqa: E731
    return Read(
        first("External-Identifier"), pieces, titles, first("Originating-Agency").removeprefix("FINESS-"), first("Archival-Agency"), {name: name for name in pieces}
    )  # fmt: skip


def _checked(files: Mapping[str, bytes], manifest: str, expected: set[str]) -> None:
    if manifest not in files:
        raise PackageRefused(f"{manifest} manque.")
    said: dict[str, str] = {}
    for line in files[manifest].decode("utf-8", "replace").splitlines():
        if not (found := _LINE.fullmatch(line)):
            raise PackageRefused(f"{manifest} : une ligne n’est pas une empreinte SHA-512 suivie d’un nom.")
        said[found[2]] = found[1]
    if wrong := sorted(expected ^ set(said)):
        raise PackageRefused(f"{wrong[0][:80]} : {'présent et non annoncé' if wrong[0] in expected else 'annoncé et absent'}.")
    for name, digest in said.items():
        if hashlib.sha512(files[name]).hexdigest() != digest:
            raise PackageRefused(f"{name[:80]} : l’empreinte diffère de {manifest}.")
