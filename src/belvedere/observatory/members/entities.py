"""The entities of a group, pasted or uploaded as rows: each row checked, what is wrong said beside it."""

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

from belvedere.engine.b2.keys import luhn_key
from belvedere.engine.nomenclature.territories import departments

HEADER = ("siren", "siret", "finess", "nom")
MOST = 500


@dataclass
class Row:
    """One entity as it was typed, and what is wrong with it."""

    rank: int
    name: str = ""
    siren: str = ""
    siret: str = ""
    finess: str = ""
    department: str = ""
    norm: str = "FR"
    errors: list[str] = field(default_factory=list)

    def kept(self) -> dict[str, str]:
        """The row as an enrolment stores it."""
        return {name: value for name, value in asdict(self).items() if name not in ("rank", "errors")}


def luhn(number: str, width: int) -> bool:
    """Whether a text is a Luhn number of a width: SIREN 9, SIRET 14 (INSEE), FINESS 9."""
    return len(number) == width and number.isdecimal() and luhn_key(number[:-1]) == int(number[-1])


def siret_ok(number: str) -> bool:
    """A SIRET is a Luhn number, but for La Poste's, whose digits add up to a multiple of five (INSEE)."""
    poste = number.startswith("356000000") and len(number) == 14 and number.isdecimal() and sum(map(int, number)) % 5 == 0
    return poste or luhn(number, 14)


def department_of(finess: str) -> str:
    """The department that a FINESS begins with; "" when there is none (overseas numbers begin with 97, 98 or 9A to 9F)."""
    if finess.startswith(("2001", "2002")):  # Corsica, as B2 writes it
        return "2A" if finess[3] == "1" else "2B"
    known = {item.code for item in departments()}
    return next((code for code in (finess[:2], finess[:3], "97" + finess[3:4]) if code in known), "")


def read(text: str) -> list[Row]:
    """Rows of a pasted or uploaded table: separator ; , or tab, with or without a header in any order; blank lines are left out."""
    text = text.lstrip("\ufeff").strip()
    if not text:
        return []
    first = text.splitlines()[0]
    separator = max(";\t,", key=first.count)
    table = [[cell.strip() for cell in cells] for cells in csv.reader(io.StringIO(text), delimiter=separator) if any(cell.strip() for cell in cells)]
    names = [cell.lower() for cell in table[0]]
    order = list(HEADER)
    if "finess" in names or "siren" in names:
        order, table = ["nom" if name in ("raison sociale", "name") else name for name in names], table[1:]
    return check([_row(rank, dict(zip(order, cells, strict=False))) for rank, cells in enumerate(table[:MOST], 1)])


def _row(rank: int, cells: dict[str, str]) -> Row:
    digits = {name: "".join(cells.get(name, "").split()).upper() for name in ("siren", "siret", "finess")}
    digits["finess"] = digits["finess"].zfill(9) if digits["finess"] else ""
    digits["siren"] = digits["siren"] or digits["siret"][:9]
    name = "".join(sign if sign.isprintable() else " " for sign in cells.get("nom", ""))[:120].strip()
    return Row(rank, name=name, department=department_of(digits["finess"]), **digits)


def check(rows: Sequence[Row]) -> list[Row]:
    """The same rows with their errors."""
    seen: dict[tuple[str, str], int] = {}
    for row in rows:
        row.errors = _wrong(row)
        for kind, number in (("FINESS", row.finess), ("SIRET", row.siret)):
            if number and (kind, number) in seen:
                row.errors.append(f"{kind} déjà donné ligne {seen[kind, number]}.")
            seen.setdefault((kind, number), row.rank)
    return list(rows)


def _wrong(row: Row) -> list[str]:
    errors = []
    if not row.name:
        errors.append("Raison sociale manquante.")
    if not luhn(row.siren, 9):
        errors.append("SIREN : neuf chiffres dont le dernier est une clé ; celui-ci ne tombe pas juste." if row.siren else "SIREN manquant.")
    if row.siret and not siret_ok(row.siret):
        errors.append("SIRET : quatorze chiffres dont le dernier est une clé ; celui-ci ne tombe pas juste.")
    if row.siret and row.siren and not row.siret.startswith(row.siren):
        errors.append("Le SIRET doit commencer par le SIREN.")
    if not luhn(row.finess, 9):
        errors.append(
            "FINESS : neuf chiffres dont le dernier est une clé ; celui-ci ne tombe pas juste."
            if row.finess
            else "FINESS manquant : c’est le numéro qui signe vos factures."
        )
    elif not row.department:
        errors.append("FINESS : le département est inconnu.")
    return errors
