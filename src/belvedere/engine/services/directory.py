"""The directory of complementary bodies: what an attestation's code says, and where the body's services answer; an answer is kept until it expires."""

import datetime as dt
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

UNKNOWN = "convention inconnue"
_NAMES = {
    "amc": "amc",
    "numeroamc": "amc",
    "noamc": "amc",
    "namc": "amc",
    "convention": "convention",
    "typeconvention": "convention",
    "csr": "csr",
    "codecsr": "csr",
    "adherent": "member",
    "noadherent": "member",
    "numeroadherent": "member",
}


@dataclass(frozen=True)
class Attestation:
    """What the code of an attestation says, once decoded to text: body, kind of agreement, CSR, member."""

    amc: str
    convention: str
    csr: str
    member: str


@dataclass(frozen=True)
class Address:
    """Where a service of a body answers, with the version of its norm, until a day."""

    service: str
    version: str
    address: str
    until: dt.date


def read(text: str) -> Attestation:
    """An attestation's text: keys and values in any order, `:` or `=` between them, `;`, `|` or lines between pairs. ValueError when the body's number is missing."""
    held: dict[str, str] = {}
    for part in re.split(r"[;|\n\r\x1d]+", text):
        name, found, value = re.sub(r"[=:]", "=", part, count=1).partition("=")
        key = _NAMES.get(re.sub(r"[^a-z]", "", name.lower()))
        if found and key:
            held[key] = value.strip()
    if not re.fullmatch(r"\d{8,10}", held.get("amc", "")):
        raise ValueError("le numéro de l’organisme complémentaire manque (8 à 10 chiffres)")
    return Attestation(held["amc"], held.get("convention", ""), held.get("csr", ""), held.get("member", ""))


class Directory:
    """Look-ups kept until they expire; what is not known is told so, and asked again the next day."""

    def __init__(self, ask: Callable[[str, str], Mapping[str, Address]]) -> None:
        self._ask = ask
        self._held: dict[tuple[str, str], tuple[Mapping[str, Address], dt.date]] = {}

    def services(self, found: Attestation, day: dt.date) -> Mapping[str, Address] | str:
        """The services of a body for an agreement, or `UNKNOWN`."""
        key = (found.amc, found.convention)
        told, until = self._held.get(key, ({}, dt.date.min))
        if day > until:
            told = self._ask(*key)
            until = min((one.until for one in told.values()), default=day)
            self._held[key] = (told, until)
        return {name: one for name, one in told.items() if one.until >= day} or UNKNOWN
