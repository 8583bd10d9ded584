"""A study made: flows of a period and of the year before, under the names of vendors then and today, and every table computed on them."""

import calendar
import csv
import datetime as dt
import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from importlib.resources import files

import duckdb
import pyarrow as pa

from belvedere.engine.study.definitions import Definition, definitions, query
from belvedere.engine.study.errors import StudyError
from belvedere.engine.study.inputs import tables

UNKNOWN = "(non renseigné)"
Cell = str | int | float | dt.date | None


@dataclass(frozen=True)
class Period:
    """Months of a study, both included, and the same a year before."""

    low: dt.date
    high: dt.date

    @staticmethod
    def of(text: str) -> "Period":
        """AAAA-MM..AAAA-MM. StudyError M105."""
        found = re.fullmatch(r"(\d{4})-(\d{2})\.\.(\d{4})-(\d{2})", text.strip())
        try:
            low, high = (dt.date(int(found[at]), int(found[at + 1]), 1) for at in (1, 3)) if found else (dt.date.max, dt.date.min)
        except ValueError:
            low, high = dt.date.max, dt.date.min
        if not dt.timedelta(0) <= high - low <= dt.timedelta(days=340):
            raise StudyError("M105", "période", period=text[:40])
        return Period(low, high)

    @property
    def last(self) -> dt.date:
        """The last day."""
        return self.high.replace(day=calendar.monthrange(self.high.year, self.high.month)[1])

    def parameters(self) -> dict[str, dt.date]:
        """What queries are given."""
        before = [day.replace(year=day.year - 1) for day in (self.low, self.high)]
        return {"low": self.low, "high": self.high, "last": self.last, "low_before": before[0], "high_before": before[1]}

    def __str__(self) -> str:
        return f"{self.low:%Y-%m}..{self.high:%Y-%m}"


@dataclass(frozen=True)
class Made:
    """A table computed: its definition, its rows in the order of the columns."""

    definition: Definition
    rows: tuple[tuple[Cell, ...], ...]

    def named(self) -> list[dict[str, Cell]]:
        """The rows by column name."""
        names = [column.name for column in self.definition.columns]
        return [dict(zip(names, row, strict=True)) for row in self.rows]


@dataclass
class Study:
    """A period's tables, with what names the data they come from."""

    period: Period
    version: str  # digest of the inputs
    made: dict[str, Made]
    vendors: tuple[str, ...]
    unmapped: tuple[str, ...]  # names that no registry knows
    rows: int
    wide: dict[str, frozenset[str]]  # by table, vendors of whom three clients at least make the volume, none above all: it is not that of one client
    alone: frozenset[tuple[str, str]]  # (vendor, cause) whose rejects are those of fewer than three clients, or of one above all
    narrow: frozenset[str]  # services whose calls are those of fewer than three establishments, or of one above all
    cells: pa.Table = field(repr=False)  # invoices by month, device, category, algorithm, vendor, site: what the secrecy engine protects


# A volume of a vendor that is nobody's own: at least three clients bring something to it, none most of it, and none all but a little beside the next.
_WIDE = """
SELECT {who} FROM (SELECT {who}, site, sum({what}) AS n FROM f WHERE p = 'N' GROUP BY ALL) WHERE n > 0
GROUP BY {who} HAVING count(*) >= 3 AND max(n) <= 0.85 * sum(n) AND sum(n) - max(n) - list_sort(list(n), 'DESC')[2] >= 0.1 * max(n)
"""


def _heirs(session: duckdb.DuckDBPyConnection) -> None:
    """The chains of mergers, as what each vendor is called from a day to another. StudyError M109."""
    moves = sorted(session.execute("SELECT on_day, vendor, becomes FROM fusions").fetchall())
    session.execute("CREATE TEMP TABLE heirs (vendor varchar, since date, until date, becomes varchar)")
    ends = sorted({day for day, *_ in moves})
    rows: list[tuple[str, dt.date, dt.date, str]] = []
    for vendor in sorted({vendor for _, vendor, _ in moves}):
        for since, until in zip(ends, [*ends[1:], dt.date(9999, 12, 31)], strict=True):
            name, seen = vendor, {vendor}
            while found := [becomes for day, was, becomes in moves if was == name and day <= since]:
                if found[-1] in seen:
                    raise StudyError("M109", "fusions", editeur=vendor, devient=found[-1])
                name = found[-1]
                seen.add(name)
            if name != vendor:
                rows.append((vendor, since, until, name))
    if rows:
        session.executemany("INSERT INTO heirs VALUES (?, ?, ?, ?)", rows)


def _categories(session: duckdb.DuckDBPyConnection) -> None:
    session.execute("CREATE TEMP TABLE categories (zone varchar, code varchar, category varchar)")
    with (files(__package__) / "categories.csv").open(encoding="utf-8") as stream:
        session.executemany(
            "INSERT INTO categories VALUES (?, ?, ?)", [(row["zone"], row["code"], row["category"]) for row in csv.DictReader(stream)]
        )


def _given(session: duckdb.DuckDBPyConnection, text: str, values: dict[str, dt.date]) -> duckdb.DuckDBPyConnection:
    named = {name: value for name, value in values.items() if re.search(rf"\${name}\b", text)}
    return session.execute(text, named) if named else session.execute(text)


def _statements(text: str) -> Iterable[str]:
    return (part for part in text.split(";\n") if part.strip())


def version_of(session: duckdb.DuckDBPyConnection) -> str:
    """A digest of every input row, whatever their order."""
    found = hashlib.sha256()
    for name in tables():
        row = session.execute(f"SELECT count(*), coalesce(bit_xor(hash(t)), 0)::varchar FROM {name} t").fetchone()
        found.update(f"{name}:{row}".encode())
    return found.hexdigest()[:12]


def study(session: duckdb.DuckDBPyConnection, period: Period, *, today: dt.date | None = None) -> Study:
    """Every table of a period, from the loaded inputs. StudyError M106 (nothing in the period), M109."""
    values = period.parameters() | {"today": today or dt.date.today()}
    _heirs(session)
    _categories(session)
    for statement in _statements(query("prepare")):
        _given(session, statement, values)
    counted = session.execute("SELECT count(*) FILTER (p = 'N') FROM f").fetchone()
    if not counted or not counted[0]:
        raise StudyError("M106", "flux", period=str(period))
    made = {one.code: Made(one, tuple(_given(session, one.sql, values).fetchall())) for one in definitions()}
    vendors = tuple(row[0] for row in session.execute("SELECT DISTINCT vendor FROM f WHERE p = 'N' ORDER BY vendor").fetchall())
    known = "SELECT vendor FROM editeurs UNION SELECT vendor FROM produits UNION SELECT vendor FROM alias UNION SELECT becomes FROM fusions UNION SELECT vendor FROM fusions"
    unmapped = session.execute(
        f"SELECT DISTINCT vendor FROM f WHERE p = 'N' AND vendor <> '{UNKNOWN}' AND vendor NOT IN ({known}) ORDER BY 1"
    ).fetchall()
    cells = session.sql(
        "SELECT strftime(month, '%Y-%m') AS month, device, category, algorithm, CASE WHEN vendor = '(non renseigné)' THEN '0' ELSE '1' END AS named, vendor, site, sum(invoices)::double AS invoices FROM f WHERE p = 'N' GROUP BY ALL"
    ).to_arrow_table()  # fmt: skip
    narrow = session.execute(
        "SELECT service FROM (SELECT service, site, sum(calls) AS calls FROM appels WHERE month BETWEEN ? AND ? GROUP BY ALL) GROUP BY service HAVING count(*) < 3 OR max(calls) > 0.85 * sum(calls)",
        [period.low, period.high],
    ).fetchall()  # fmt: skip
    wide = {
        name: frozenset(row[0] for row in session.execute(_WIDE.format(who=who, what=what)).fetchall())
        for name, who, what in (("T03n", "vendor_now", "invoices"), ("T11", "vendor", "judged"), ("T11c", "vendor", "rejects"))
    }
    causes = session.execute(
        "SELECT vendor, cause FROM (SELECT w.vendor, r.cause, r.site, sum(r.rejects) AS n FROM rejets r JOIN who w ON w.software IS NOT DISTINCT FROM r.software AND w.vendor_text IS NOT DISTINCT FROM r.vendor_text AND w.month = r.month WHERE r.month BETWEEN ? AND ? GROUP BY ALL) GROUP BY ALL HAVING count(*) < 3 OR max(n) > 0.85 * sum(n)",
        [period.low, period.high],
    ).fetchall()  # fmt: skip
    total = session.execute("SELECT count(*) FROM flux").fetchone()
    return Study(
        period, version_of(session), made, vendors, tuple(row[0] for row in unmapped), int(total[0]) if total else 0, wide,
        frozenset((str(vendor), str(cause)) for vendor, cause in causes),
        frozenset(row[0] for row in narrow), cells
    )  # fmt: skip
