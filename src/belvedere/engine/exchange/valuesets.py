"""Value sets as the ANS publishes them: a `RetrieveValueSetResponse` of the IHE profile Sharing Value Sets (urn:ihe:iti:svs:2008), each code with its dates."""

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass

from belvedere.engine.exchange.matrix import ALWAYS, NEVER
from belvedere.engine.exchange.seda import parse_xml

NAMESPACE = {"svs": "urn:ihe:iti:svs:2008"}


@dataclass(frozen=True)
class Code:
    """One code of a value set: the OID of its system, what it says, from a day (included) to another (excluded)."""

    valueset: str
    system: str
    code: str
    display: str
    since: dt.date
    until: dt.date


def read(raw: bytes) -> Iterator[Code]:
    """The codes of a file. `seda.PackageRefused` for no XML, ValueError for no value set, or a date that is none."""
    root = parse_xml(raw)
    sets = [root] if root.tag.endswith("}ValueSet") else root.findall("svs:ValueSet", NAMESPACE)
    if not sets:
        raise ValueError("aucun jeu de valeurs (ValueSet de urn:ihe:iti:svs:2008)")
    told = 0
    for held in sets:
        name = held.get("displayName") or held.get("id") or ""
        for one in held.iterfind("svs:ConceptList/svs:Concept", NAMESPACE):
            code, system = one.get("code", ""), one.get("codeSystem", "")
            if not name or not code or not system:
                raise ValueError(f"{name or 'jeu sans nom'} : un concept n’a pas de code ou de système")
            since, until = day(one.get("dateValid", "")) or ALWAYS, day(one.get("dateFin", "")) or NEVER
            if until <= since or len(code) > 60 or not code.isprintable():
                raise ValueError(f"{name} : le code {code[:20]!r} est trop long, ou finit avant de commencer")
            told += 1
            yield Code(name, system, code, one.get("displayName", ""), since, until)
    if not told:
        raise ValueError("aucun concept")


def day(text: str) -> dt.date | None:
    """The day of AAAAMMJJ…, or of AAAA-MM-JJ…; None without any. ValueError."""
    digits = text[:8] if text[:8].isdecimal() else text[:10].replace("-", "")
    return dt.date(int(digits[:4]), int(digits[4:6]), int(digits[6:8])) if digits else None
