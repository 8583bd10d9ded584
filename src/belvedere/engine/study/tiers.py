"""What each reader of a study is told: everybody, a vendor (its own rows, quartiles of the others), its governance (everything)."""

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from statistics import quantiles

from belvedere.engine.study import secrecy
from belvedere.engine.study.definitions import Column, Definition
from belvedere.engine.study.errors import StudyError
from belvedere.engine.study.market import Cell, Made, Study

MASKED = "masqué"
PUBLIC, GOVERNANCE = "public", "gouvernance"
FEWEST_OTHERS = 10  # vendors below which no quartile is told
# Of a vendor's own row, what would tell another's: the share of those before it is the first one's, for the second.
_TELLS_OTHERS = {"cumulated"}
QUARTILED = {"T03": ("sites", "invoices"), "T11": ("rate",)}


@dataclass(frozen=True)
class Told:
    """A table as a reader gets it: its columns, its rows, and under it the quartiles of the others when there are some."""

    definition: Definition
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    quartiles: tuple[tuple[str, float, float, float], ...] = ()  # column, Q1, median, Q3


def tell(study: Study, tier: str, *, entrusted: bool = False) -> list[Told]:
    """The tables that a tier reads: `PUBLIC`, `GOVERNANCE`, or the name of a vendor. StudyError M107 for a vendor that is not there.

    `entrusted`: the flows are those of providers who let them be observed, not of whoever makes the study. Then nobody reads everything, the public reads no
    volume and shares in whole percents, and a vendor reads no volume of fewer than three clients, or of one above all."""
    if entrusted and tier == GOVERNANCE:
        raise StudyError("M110", "version", tier=tier)
    if tier == GOVERNANCE:
        return [Told(made.definition, made.definition.columns, made.rows) for made in study.made.values()]
    closed = secrecy.closed(study.cells)
    public = {code: _public(made, study, closed) for code, made in study.made.items() if made.definition.public}
    if entrusted:
        coarse = {code: _without_volumes(told) for code, told in public.items()}
        # What had volumes alone has nothing left to say.
        public = {code: told for code, told in coarse.items() if not told.definition.volumes or any(column.unit for column in told.columns)}
    if tier == PUBLIC:
        return list(public.values())
    if tier not in study.vendors:
        raise StudyError("M107", "éditeur", vendor=tier[:60])
    own = {made.definition.code: _own(made, tier, closed) for made in study.made.values() if made.definition.own}
    if entrusted:
        # One table alone tells a vendor its volume, under the name of today: the one of the time, or the parts by encryption, would give one client by difference.
        own = {code: told if tier in study.wide.get(code, ()) else _counts_alone(told) for code, told in own.items()}
        own["T11c"] = _causes(own["T11c"], study)
    return [own.get(code) or public[code] for code in study.made if code in own or code in public]


def _public(made: Made, study: Study, closed: set[secrecy.Key]) -> Told:
    definition = made.definition
    columns = tuple(definition.column(name) for name in definition.public)
    hide = _HIDDEN.get(definition.code, _nothing)
    rows = []
    for row in made.named():
        hidden = hide(row, study, closed)
        told = {name: MASKED if name in hidden else value for name, value in row.items()}
        for name, bounds in definition.bands:
            told[name] = band(row[name], bounds, definition.column(name).unit)
        rows.append(tuple(told[column.name] for column in columns))
    return Told(definition, columns, tuple(rows))


def _own(made: Made, vendor: str, closed: set[secrecy.Key]) -> Told:
    definition = made.definition
    columns = tuple(column for column in definition.columns if column.name not in _TELLS_OTHERS)
    market_closed = any(all(code == secrecy.TOTAL for code in key[1:]) for key in closed)
    hidden = {"share"} if market_closed and definition.code.startswith("T03") else set()  # one's own volume and share would give the total
    named = [row for row in made.named() if vendor in (row[definition.own], row.get("from_vendor"))]
    rows = tuple(tuple(MASKED if column.name in hidden else row[column.name] for column in columns) for row in named)
    others = [row for row in made.named() if row[definition.own] != vendor]
    found: list[tuple[str, float, float, float]] = []
    for name in QUARTILED.get(definition.code, ()) if len(others) >= FEWEST_OTHERS else ():
        low, middle, high = quantiles([float(str(row[name])) for row in others if row[name] is not None], n=4)
        found.append((definition.column(name).label, _rounded(low), _rounded(middle), _rounded(high)))
    return Told(definition, columns, rows, tuple(found))


def _without_volumes(told: Told) -> Told:
    """The columns that are no volume, shares of volumes in whole percents."""
    volumes = told.definition.volumes
    kept = [at for at, column in enumerate(told.columns) if column.name not in volumes]
    coarse = {at for at, column in enumerate(told.columns) if volumes and column.unit == "%"}
    rows = tuple(
        tuple(round(value) if at in coarse and isinstance(value, float) else value for at, value in enumerate(row) if at in kept) for row in told.rows
    )
    return Told(told.definition, tuple(told.columns[at] for at in kept), rows, told.quartiles)


_COUNTS = frozenset({"établissements", ""})


def _counts_alone(told: Told) -> Told:
    """Establishments and names; what is counted in invoices, or drawn from them, is masked."""
    rows = tuple(tuple(value if column.unit in _COUNTS else MASKED for value, column in zip(row, told.columns, strict=True)) for row in told.rows)
    return Told(told.definition, told.columns, rows)


def _causes(told: Told, study: Study) -> Told:
    """Causes that are one client's are masked, and another with them when there is one alone: shares add up to a hundred."""
    names = [column.name for column in told.columns]
    vendor, cause, rejects = (names.index(name) for name in ("vendor", "cause", "rejects"))
    if any(row[rejects] == MASKED for row in told.rows):
        return told
    hidden = {at for at, row in enumerate(told.rows) if (str(row[vendor]), str(row[cause])) in study.alone}
    if len(hidden) == 1 and len(told.rows) > 1:
        others = [at for at in range(len(told.rows)) if at not in hidden]
        hidden.add(min(others, key=lambda at: float(str(told.rows[at][rejects]))))
    masks = {names.index(name) for name in ("rejects", "share", "others")}
    rows = tuple(tuple(MASKED if at in hidden and place in masks else value for place, value in enumerate(row)) for at, row in enumerate(told.rows))
    return Told(told.definition, told.columns, rows, told.quartiles)


def _rounded(value: float) -> float:
    """Two significant digits: a quartile is near somebody's figure."""
    return float(f"{value:.1e}")


def band(value: Cell, bounds: tuple[float, ...], unit: str) -> str:
    """The class of a value: "moins de 25 %", "25 à 50 %", "plus de 90 %"."""
    if not isinstance(value, int | float):
        return ""
    texts = [f"{bound:,.0f}".replace(",", "\u202f") for bound in bounds]
    space = f"\u00a0{unit}" if unit else ""
    if value < bounds[0]:
        return f"moins de {texts[0]}{space}"
    if value >= bounds[-1]:
        return f"plus de {texts[-1]}{space}"
    at = sum(value >= bound for bound in bounds)
    return f"{texts[at - 1]} à {texts[at]}{space}"


def _month(value: Cell) -> str:
    return f"{value:%Y-%m}" if isinstance(value, dt.date) else str(value)


def _nothing(row: dict[str, Cell], study: Study, closed: set[secrecy.Key]) -> set[str]:
    return set()


def _device(row: dict[str, Cell], study: Study, closed: set[secrecy.Key]) -> set[str]:
    month = _month(row["month"])
    own, whole = (secrecy.key_of("T06", (month, text)) in closed for text in (str(row["device"]), secrecy.TOTAL))
    return {"invoices", "share"} if own or whole else set()


def _algorithm(row: dict[str, Cell], study: Study, closed: set[secrecy.Key]) -> set[str]:
    parts = (secrecy.key_of("T08m", (_month(row["month"]), text)) for text in (str(row["algorithm"]), secrecy.TOTAL))
    return {"share"} if any(part in closed for part in parts) else set()


def _unknown(row: dict[str, Cell], study: Study, closed: set[secrecy.Key]) -> set[str]:
    parts = (secrecy.key_of("T12", (_month(row["month"]), str(row["category"]), text)) for text in ("0", "1", secrecy.TOTAL))
    return {"share"} if any(part in closed for part in parts) else set()


def _calls(row: dict[str, Cell], study: Study, closed: set[secrecy.Key]) -> set[str]:
    """Calls of a service are those of its establishments: fewer than three, or one that makes most of them, and nothing of volume is told."""
    return {"calls", "success"} if row["service"] in study.narrow else set()


_HIDDEN: dict[str, Callable[[dict[str, Cell], Study, set[secrecy.Key]], set[str]]] = {
    "T06": _device,
    "T08m": _algorithm,
    "T12": _unknown,
    "T07": _calls,
}
