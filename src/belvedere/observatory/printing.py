"""PDFs set with Typst: a template and data in, bytes out. Fonts are those of the library, nothing is fetched."""

import datetime as dt
import json
from collections.abc import Mapping
from importlib.resources import files

import typst

from belvedere.observatory.environment import read

MONTHS = ["janvier", "février", "mars", "avril", "mai", "juin", "juillet", "août", "septembre", "octobre", "novembre", "décembre"]


def render(package: str, template: str, data: Mapping[str, object], *, archive: bool = False) -> bytes:
    """The PDF of a template of a package; `archive` makes it PDF/A-3b, which may carry attachments."""
    text = (files(package) / template).read_bytes()
    return typst.compile(text, format="pdf", sys_inputs={"data": json.dumps(data, ensure_ascii=False)}, pdf_standards=["a-3b"] if archive else [])


def day(date: dt.date) -> str:
    """22 novembre 2026."""
    return f"{date.day if date.day > 1 else '1er'} {MONTHS[date.month - 1]} {date.year}"


def integer(number: int) -> str:
    """1 942, with the narrow no-break space of French typography."""
    return f"{number:,}".replace(",", "\u202f")


def euros(cents: int) -> str:
    """1 942,00 €, with the spaces of French typography."""
    whole, rest = divmod(cents, 100)
    return f"{integer(whole)},{rest:02d}\u00a0€"


def operator() -> dict[str, str]:
    """Who runs the observatory, as documents name it."""
    return {name: read(f"BELVEDERE_OPERATOR_{name.upper()}") for name in ("name", "address", "siren", "vat", "iban")}
