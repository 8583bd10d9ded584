"""The inputs of a study out of what the platform received: flows' metadata, returns, calls of services, registries."""

import math
import tempfile
from collections import Counter
from pathlib import Path
from statistics import median

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
from django.utils import timezone

from belvedere.engine.study import inputs
from belvedere.observatory.collect import vault
from belvedere.observatory.collect.models import ReturnFile
from belvedere.observatory.members.models import Member
from belvedere.observatory.services.models import Call
from belvedere.observatory.study import registries
from belvedere.observatory.study.models import FlowMark, RegistryRow

CATEGORY = "PSAD"  # whoever bills home care here, whatever FINESS calls it


def fill(session: duckdb.DuckDBPyConnection) -> None:
    """Fill a session's tables."""
    marks = list(FlowMark.objects.select_related("flow__member").order_by("flow_id"))
    rejected = _rejects()
    told, causes = _by_mark(marks, rejected)
    _put(session, "flux", told)
    _put(session, "rejets", causes)
    _put(session, "appels", _calls())
    # Members are establishments as they joined; what the registry says of one (opening, closing, successor, group) stands in its place.
    known = {row.values.get("finess_geo", "") for row in RegistryRow.objects.filter(table="etablissements")}
    _put(session, "etablissements", [
        {"site": f"{one.finess:09d}", "legal_entity": one.siren, "category": CATEGORY, "territory_group": one.group.name, "department": one.department}
        for one in Member.objects.select_related("group") if f"{one.finess:09d}" not in known
    ])  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        for table in registries.KEPT:
            rows = [row.values for row in RegistryRow.objects.filter(table=table).order_by("pk")]
            if rows:
                path = Path(folder) / f"{table}.csv"
                registries.write(table, rows, path)
                inputs.load_file(session, table, path)


def _put(session: duckdb.DuckDBPyConnection, table: str, rows: list[dict]) -> None:
    """Rows in our own names, into a table; what a row does not say takes the column's default."""
    if not rows:
        return
    columns = inputs.tables()[table]
    kinds = {"text": pa.string(), "month": pa.date32(), "date": pa.date32(), "integer": pa.int64(), "boolean": pa.bool_()}
    given = pa.table({column.name: pa.array([row.get(column.name) for row in rows], kinds[column.kind]) for column in columns})
    casts = {"month": "date", "date": "date", "integer": "bigint", "boolean": "boolean", "text": "varchar"}
    cells = [f"coalesce({column.name}, '{column.otherwise}'::{casts[column.kind]})" if column.otherwise else column.name for column in columns]
    session.register("given", given)
    session.execute(f"INSERT INTO {table} SELECT {', '.join(cells)} FROM given")
    session.unregister("given")


def _rejects() -> dict[tuple[int, str], Counter[tuple[str, str]]]:
    """(member, month of the lot) -> invoices answered ("", ""), and rejected by (cause, label)."""
    found: dict[tuple[int, str], Counter[tuple[str, str]]] = {}
    for row in ReturnFile.objects.order_by("pk"):
        table = pq.read_table(vault.facts_path(row.name), columns=["lot_date", "state", "code", "label"])
        for lot, state, code, label in zip(*(table[name].to_pylist() for name in ("lot_date", "state", "code", "label")), strict=True):
            if lot is not None:
                counted = found.setdefault((row.member_id, f"{lot:%Y-%m}"), Counter())
                counted["", ""] += 1
                if state == "R":
                    counted[code or "?", label or ""] += 1
    return found


def _by_mark(marks: list[FlowMark], rejected: dict[tuple[int, str], Counter[tuple[str, str]]]) -> tuple[list[dict], list[dict]]:
    """Rows of flows, each with the rejects of its month, and the rejects by cause. A month of several flows gives its rejects to the largest."""
    largest: dict[tuple[int, str], FlowMark] = {}
    for mark in marks:
        key = (mark.flow.member_id or 0, f"{mark.month:%Y-%m}")
        if key not in largest or mark.invoices > largest[key].invoices:
            largest[key] = mark
    flows, causes = [], []
    for mark in marks:
        key = (mark.flow.member_id or 0, f"{mark.month:%Y-%m}")
        answered = rejected.get(key) if largest[key].pk == mark.pk else None
        flows.append({
            "site": mark.site, "month": mark.month, "category": CATEGORY, "software": mark.approval or None, "vendor_text": mark.vendor_text or None, "crypto": mark.crypto or None,
            "algorithm": mark.algorithm or None, "invoices": mark.invoices, "rejects": sum(answered.values()) - answered["", ""] if answered else None, "device": "AUTRE", "real": True,
        })  # fmt: skip
        for (cause, label), count in sorted((answered or Counter()).items()):
            if cause:
                causes.append(
                    {
                        "month": mark.month,
                        "site": mark.site,
                        "software": mark.approval or None,
                        "vendor_text": mark.vendor_text or None,
                        "cause": cause,
                        "label": label,
                        "rejects": count,
                    }
                )
    return flows, causes


def _calls() -> list[dict]:
    """Calls of services by members: month, site, software, regime and result, with how long they took."""
    sites = [f"{number:09d}" for number in Member.objects.values_list("finess", flat=True)]
    held: dict[tuple, list[int]] = {}
    for service, at, site, software, regime, result, took in (
        Call.objects.filter(site__in=sites).order_by("pk").values_list("service", "at", "site", "software", "regime", "result", "milliseconds")
    ):
        month = timezone.localtime(at).date().replace(day=1)
        held.setdefault((service, month, site, software or None, regime or None, result), []).append(took)
    names = ("service", "month", "site", "software", "regime", "result")
    return [
        dict(zip(names, key, strict=True))
        | {"calls": len(took), "p50": int(median(took)), "p95": sorted(took)[max(math.ceil(0.95 * len(took)) - 1, 0)]}
        for key, took in held.items()
    ]
